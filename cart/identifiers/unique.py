"""The last token of an identifier: a counter that distinguishes candidates of equal codes.

The paper has it; without it identifiers are not unique. The level is there even without collisions (its vocabulary is
then 1), so that a model has the same levels for every gallery.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cart.trie import keys


def separate(codes: np.ndarray, sizes: Sequence[int]) -> tuple[np.ndarray, tuple[int, ...]]:
    """int32 [N, levels + 1] and the sizes: 0, 1, 2, … for the candidates of equal codes, in the order of rows."""
    key = keys(codes, sizes)
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))  # where each group of equal codes begins
    counter = np.empty(len(codes), np.int32)
    counter[order] = np.arange(len(codes)) - np.repeat(first, np.diff(first, append=len(codes)))
    tokens = np.concatenate([codes.astype(np.int32), counter[:, None]], axis=1)
    return tokens, (*sizes, int(counter.max(initial=0)) + 1)

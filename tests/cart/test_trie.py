"""The flat tree against the plainest tree there is: sets of prefixes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cart import trie as tries


@st.composite
def distinct_identifiers(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, ...]]:
    sizes = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    every = int(np.prod(sizes))
    chosen = draw(st.lists(st.integers(0, every - 1), min_size=1, max_size=60, unique=True))
    return np.stack(np.unravel_index(chosen, sizes), axis=1).astype(np.int32), sizes


@settings(max_examples=150, deadline=None)
@given(distinct_identifiers())
def test_children_and_spans_are_those_of_the_prefixes(case: tuple[np.ndarray, tuple[int, ...]]) -> None:
    identifiers, sizes = case
    trie = tries.build(identifiers, sizes)
    rows = [tuple(row) for row in identifiers.tolist()]
    ordered = sorted(rows)
    assert [rows[row] for row in trie.rows.tolist()] == ordered
    prefixes = [sorted({row[: level + 1] for row in rows}) for level in range(len(sizes))]
    assert [trie.count(level) for level in range(len(sizes))] == [len(found) for found in prefixes]
    for level, found in enumerate(prefixes):
        for node, prefix in enumerate(found):
            assert trie.tokens[level][node] == prefix[-1]
            first, last = trie.span(level, np.array(node))
            assert ordered[first:last] == [row for row in ordered if row[: level + 1] == prefix]
            if level + 1 < len(sizes):
                first, last = trie.children(level + 1, np.array(node))
                assert prefixes[level + 1][first:last] == [p for p in prefixes[level + 1] if p[:-1] == prefix]
    first, last = trie.children(0, np.zeros(1, np.int64))
    assert (first[0], last[0]) == (0, len(prefixes[0]))
    np.testing.assert_array_equal(trie.identifiers(), identifiers)


def test_starts_survive_packing_at_every_width() -> None:
    for most in (1, 3, 300, 40_000):  # one byte, two and four
        counts = np.random.default_rng(most).integers(1, most + 1, size=1000)
        starts = np.concatenate([[0], np.cumsum(counts)])
        packed = tries.Starts.pack(starts)
        np.testing.assert_array_equal(packed[np.arange(len(starts))], starts)
    assert packed.offset.dtype == np.int32


def test_torch_sees_the_same_tree_in_the_same_memory() -> None:
    sizes = (300, 40_000, 3)
    rng = np.random.default_rng(1)
    identifiers = np.unique(np.stack([rng.integers(0, size, 5000) for size in sizes], axis=1), axis=0).astype(np.int32)
    trie = tries.build(identifiers, sizes)
    there = trie.on("cpu")
    np.testing.assert_array_equal(there.identifiers(), identifiers)
    assert there.rows.data_ptr() == trie.rows.ctypes.data and there.nbytes == trie.nbytes
    for level in range(3):
        nodes = np.arange(trie.count(level))
        for mine, theirs in zip(trie.span(level, nodes), there.span(level, torch.from_numpy(nodes)), strict=True):
            np.testing.assert_array_equal(mine, theirs.numpy())


def test_long_identifiers_sort_like_short_ones() -> None:
    rng = np.random.default_rng(3)
    sizes = (1000,) * 9  # 10^27 of them: more than a 64-bit key can tell apart
    identifiers = rng.integers(0, 1000, size=(500, 9)).astype(np.int32)
    identifiers[::2, :8] = identifiers[1::2, :8]
    trie = tries.build(identifiers, sizes)
    assert identifiers[trie.rows].tolist() == sorted(identifiers.tolist())


@pytest.mark.parametrize(
    ("identifiers", "sizes", "message"),
    [
        ([[0, 1], [1, 1], [0, 1]], (2, 2), r"candidates 0 and 2 have the same identifier \[0, 1\]"),
        ([[0, 1], [1, 2]], (2, 2), "candidate 1: token 2 at level 1 is outside 0..1"),
        ([[0, -1]], (2, 2), "candidate 0: token -1 at level 1"),
        ([[0, 1]], (2, 2, 2), "don't fit the 3 levels"),
        (np.empty((0, 2)), (2, 2), "at least one"),
    ],
)
def test_what_is_no_set_of_identifiers_is_told(identifiers: object, sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tries.build(np.asarray(identifiers, np.int32), sizes)

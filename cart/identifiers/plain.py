"""Schemes that learn nothing: one token a candidate, the digits of its row number, and random codes.

Rivals (DSI and GRACE "atomic", DSI "naive" and GRACE "numeric") and a control: `Random` has the shape of CART's
identifiers and none of their meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cart.identifiers.base import Scheme
from harness.contract.retriever import Unsupported


class _Unlearnt(Scheme):
    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray], sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)


@dataclass(eq=False)
class Atomic(_Unlearnt):
    """One level, one token a candidate. New candidates would need a larger vocabulary, so `add` is unsupported."""

    counted = False

    def learn(self, embeddings: np.ndarray) -> np.ndarray:
        self.sizes = (len(embeddings),)
        return np.arange(len(embeddings), dtype=np.int32)[:, None]


@dataclass(eq=False)
class Numeric(_Unlearnt):
    """The digits of the row number, leading zeros included."""

    base: int = 10
    counted = False

    def learn(self, embeddings: np.ndarray) -> np.ndarray:
        digits = 1
        while self.base**digits < len(embeddings):
            digits += 1
        self.sizes = (self.base,) * digits
        return self.codes(embeddings)

    def codes(self, embeddings: np.ndarray, known: int = 0) -> np.ndarray:
        if known + len(embeddings) > self.base ** len(self.sizes):
            raise Unsupported(f"numeric identifiers of {len(self.sizes)} digits are used up: index the gallery again")
        rows = np.arange(known, known + len(embeddings))
        return np.stack(np.unravel_index(rows, self.sizes), axis=1).astype(np.int32)


@dataclass(eq=False)
class Random(_Unlearnt):
    """Codes drawn evenly, in the shape of CART's: what the method does when identifiers mean nothing."""

    clusters: int = 32
    codes_each: int = 32
    books: int = 2
    seed: int = 0

    def learn(self, embeddings: np.ndarray) -> np.ndarray:
        self.sizes = (self.clusters, *[self.codes_each] * self.books)
        return self.codes(embeddings)

    def codes(self, embeddings: np.ndarray, known: int = 0) -> np.ndarray:
        rng = np.random.default_rng((self.seed, known))
        return np.stack([rng.integers(0, size, len(embeddings)) for size in self.sizes], axis=1).astype(np.int32)

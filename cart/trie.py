"""Which tokens may follow which prefix: all identifiers as a prefix tree in a handful of flat arrays.

Sort the identifiers; then the nodes of a level (the distinct prefixes of that length) can be numbered from left to
right, the children of a node are a run of nodes of the next level, and so are the candidates below it a run of the
sorted rows. A node is its number, a leaf is a position in sorted order, and nothing else needs storing than each node's
token, where its children start, and which row stands at which leaf.

The flat layout is ours: the paper speaks of a prefix tree and no more. Called by `decoding` and by training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any  # a numpy array as built, a torch tensor after `Trie.on(device)`: the arithmetic is the same
BLOCK_BITS = 6


@dataclass(frozen=True)
class Starts:
    """Where the children of each node start: non-decreasing numbers, split so that most cost one byte, not four."""

    base: Array  # int32 [blocks]: the start of every 64th node
    offset: Array  # uint8, int16 or int32 [nodes + 1]: how far beyond its block's base a node's start lies

    @staticmethod
    def pack(starts: np.ndarray) -> Starts:
        base = starts[:: 1 << BLOCK_BITS].astype(np.int32)
        return Starts(base, narrow(starts - np.repeat(base, 1 << BLOCK_BITS)[: len(starts)]))

    def __getitem__(self, nodes: Array) -> Array:
        return self.base[nodes >> BLOCK_BITS] + self.offset[nodes]


@dataclass(frozen=True)
class Trie:
    """Nodes of a level are numbered from 0 in sorted order. "Level 0" is the first token; the root has no number."""

    sizes: tuple[int, ...]  # the vocabulary of each level
    tokens: tuple[Array, ...]  # [nodes of the level] each: the token that leads to a node
    starts: tuple[Starts, ...]  # one less than levels: where a node's children start among the nodes of the next level
    rows: Array  # int32 [N]: the candidate at each leaf; leaf number = position in sorted order

    @property
    def levels(self) -> int:
        return len(self.sizes)

    def __len__(self) -> int:
        return len(self.rows)

    def count(self, level: int) -> int:
        return len(self.tokens[level])

    def children(self, level: int, nodes: Array) -> tuple[Array, Array]:
        """First and one-past-last node of `level` below these nodes of the level before (of the root, at level 0)."""
        if level == 0:
            return nodes * 0, nodes * 0 + self.count(0)
        starts = self.starts[level - 1]
        return starts[nodes], starts[nodes + 1]

    def span(self, level: int, nodes: Array) -> tuple[Array, Array]:
        """First and one-past-last leaf below these nodes of `level`."""
        first, last = nodes, nodes + 1
        for starts in self.starts[level:]:
            first, last = starts[first], starts[last]
        return first, last

    def paths(self) -> np.ndarray:
        """int32 [N, levels]: the nodes that each candidate's identifier passes through."""
        trie = self.numpy()
        paths = np.empty((len(trie), trie.levels), np.int32)
        for level in range(trie.levels):
            nodes = np.arange(trie.count(level), dtype=np.int32)
            first, last = trie.span(level, nodes)
            paths[trie.rows, level] = np.repeat(nodes, last - first)
        return paths

    def identifiers(self) -> np.ndarray:
        """int32 [N, levels]: what the tree was built from."""
        paths, tokens = self.paths(), self.numpy().tokens
        columns = [tokens[level][paths[:, level]] for level in range(self.levels)]
        return np.stack(columns, axis=1).astype(np.int32)

    @property
    def nbytes(self) -> int:
        packed = [array for starts in self.starts for array in (starts.base, starts.offset)]
        return sum(int(array.nbytes) for array in (*self.tokens, *packed, self.rows))

    def on(self, device: str) -> Trie:
        """The same tree as torch tensors; on a CPU they share the memory of the arrays."""
        import torch

        return self._map(lambda array: torch.as_tensor(array, device=device))

    def numpy(self) -> Trie:
        """The mirror of `on`."""
        return self._map(lambda array: np.asarray(array.cpu() if hasattr(array, "cpu") else array))

    def _map(self, change: Callable[[Array], Array]) -> Trie:
        starts = tuple(Starts(change(packed.base), change(packed.offset)) for packed in self.starts)
        return Trie(self.sizes, tuple(map(change, self.tokens)), starts, change(self.rows))


def build(identifiers: np.ndarray, sizes: Sequence[int]) -> Trie:
    """The tree of int [N, levels] identifiers, all different; row i is candidate i."""
    sizes = tuple(int(size) for size in sizes)
    _check(identifiers, sizes)
    order = np.argsort(keys(identifiers, sizes))
    columns = [np.ascontiguousarray(identifiers[:, level])[order] for level in range(len(sizes))]
    new = np.zeros(len(order), bool)  # does the prefix of this length differ from that of the leaf before?
    new[0] = True
    tokens, starts, above = [], [], np.empty(0, np.int64)
    for level, column in enumerate(columns):
        new[1:] |= column[1:] != column[:-1]
        nodes = np.flatnonzero(new)  # the first leaf of every node
        tokens.append(narrow(column[nodes], sizes[level] - 1))
        if level:
            number = np.cumsum(new, dtype=np.int32)  # of nodes up to and with this leaf
            starts.append(Starts.pack(np.append(number[above] - 1, np.int32(len(nodes)))))
        above = nodes
    if len(above) < len(order):
        leaf = int(np.flatnonzero(~new)[0])
        one, other = sorted((int(order[leaf - 1]), int(order[leaf])))
        raise ValueError(f"candidates {one} and {other} have the same identifier {identifiers[one].tolist()}")
    return Trie(sizes, tuple(tokens), tuple(starts), order.astype(np.int32))


def keys(codes: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """int64 [N]: one number for each row of codes, equal where rows are equal and ordered as rows are."""
    key, room = np.zeros(len(codes), np.int64), 1
    for level, size in enumerate(sizes):
        if room * size >= 1 << 63:  # codes longer than a number: ranks so far serve as well
            key = np.unique(key, return_inverse=True)[1]
            room = len(key)
        key *= size
        key += codes[:, level]
        room *= size
    return key


def narrow(values: np.ndarray, largest: int | None = None) -> np.ndarray:
    """In the smallest integers that hold them, of those that torch can index with and add."""
    largest = int(values.max(initial=0)) if largest is None else largest
    return values.astype(np.uint8 if largest < 1 << 8 else np.int16 if largest < 1 << 15 else np.int32)


def _check(identifiers: np.ndarray, sizes: tuple[int, ...]) -> None:
    if identifiers.ndim != 2 or identifiers.shape[1] != len(sizes) or not sizes:
        raise ValueError(f"identifiers of shape {identifiers.shape} don't fit the {len(sizes)} levels of sizes {sizes}")
    if not len(identifiers):
        raise ValueError("a tree needs at least one identifier")
    if (identifiers.min(axis=0) < 0).any() or (identifiers.max(axis=0) >= np.array(sizes)).any():
        row, level = np.argwhere((identifiers < 0) | (identifiers >= np.array(sizes)))[0].tolist()
        raise ValueError(
            f"candidate {row}: token {int(identifiers[row, level])} at level {level} is outside 0..{sizes[level] - 1}"
        )

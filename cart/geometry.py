"""An extension of ours, off by default: queries and candidates meet as vectors on the way down the tree.

    logit of a child += exp(s) · ⟨query vector, vector of the child⟩        (s is learnt, one a level)

`codebook`  vectors belong to tokens: centroids and codewords. They cost codes, not candidates.
`centroid`  vectors belong to nodes: the mean embedding of the candidates below. A table that grows with the corpus.
`learned`   the same table, and training may change it.
`lse`       a node counts as much as its candidates together, log Σ exp: a dual tower's softmax written along the tree.
            A reference: it scores all N candidates for every query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cart.trie import Trie

Kind = Literal["none", "codebook", "centroid", "learned", "lse"]
FIRST_SCALE = 2.0  # exp(2) ≈ 7: cosines count a little at the start


class Geometry(nn.Module):
    """The query's vector, and the logits that tokens or nodes gain by it."""

    def __init__(self, width: int, dim: int, levels: int) -> None:
        super().__init__()
        self.ask = nn.Linear(width, dim)
        self.scales = nn.Parameter(torch.full((levels,), FIRST_SCALE))

    def query(self, pooled: Tensor, vector: Tensor | None) -> Tensor:  # (Q, width), (Q, dim) → (Q, dim)
        """The encoder's own vector if it has one (in the space of the candidates), else one learnt here."""
        return F.normalize(self.ask(pooled) if vector is None else vector, dim=-1)

    def tokens(self, query: Tensor | None, level: int) -> Tensor | None:
        """(Q, size of the level): the gain of each token, whatever the prefix."""
        return None

    def nodes(self, query: Tensor | None, level: int, nodes: Tensor) -> Tensor | None:
        """(Q, B, M): the gain of each of these nodes."""
        return None


class OfCodes(Geometry):
    """`codebook`. Children of one parent share the sum of codewords before them, which thus cancels out."""

    def __init__(self, width: int, codewords: Sequence[np.ndarray], levels: int) -> None:
        super().__init__(width, codewords[0].shape[1], levels)
        self.known = len(codewords)  # the counter after them has no vector
        for level, words in enumerate(codewords):
            self.register_buffer(f"words{level}", torch.from_numpy(words))

    def tokens(self, query: Tensor | None, level: int) -> Tensor | None:
        if level >= self.known or query is None:
            return None
        return self.scales[level].exp() * query @ self.get_buffer(f"words{level}").T


class OfNodes(Geometry):
    """`centroid` and `learned`."""

    def __init__(self, width: int, vectors: Sequence[np.ndarray], learned: bool) -> None:
        super().__init__(width, vectors[0].shape[1], len(vectors))
        self.vectors = nn.ParameterList(nn.Parameter(torch.from_numpy(table), learned) for table in vectors)

    def nodes(self, query: Tensor | None, level: int, nodes: Tensor) -> Tensor | None:
        assert query is not None
        table = self.vectors[level]  # (nodes of the level, dim)
        if len(table) <= nodes[0].numel():  # fewer nodes than children asked for: score each once
            cosine = (query @ table.T).gather(1, nodes.flatten(1)).view(nodes.shape)
        else:
            cosine = torch.einsum("qd,qbmd->qbm", query, table[nodes])
        return self.scales[level].exp() * cosine


class OfCandidates(Geometry):
    """`lse`. A query's vector here is its score for every candidate, in the order of the tree's leaves."""

    def __init__(self, width: int, vectors: np.ndarray, trie: Trie) -> None:
        super().__init__(width, vectors.shape[1], 1)
        self.vectors = nn.Parameter(torch.from_numpy(vectors[trie.rows]))  # (N, dim)
        self.counts = [trie.count(level) for level in range(trie.levels)]
        self.register_buffer("paths", torch.from_numpy(np.ascontiguousarray(trie.paths()[trie.rows].T)).long())

    def query(self, pooled: Tensor, vector: Tensor | None) -> Tensor:  # (Q, N)
        return self.scales.exp() * super().query(pooled, vector) @ F.normalize(self.vectors, dim=-1).T

    def nodes(self, query: Tensor | None, level: int, nodes: Tensor) -> Tensor | None:
        assert query is not None
        owner = self.get_buffer("paths")[level].expand_as(query)  # (Q, N): the node above each leaf
        empty = query.new_zeros(len(query), self.counts[level])
        peak = empty.scatter_reduce(1, owner, query.detach(), "amax", include_self=False)
        total = empty.scatter_add(1, owner, (query - peak.gather(1, owner)).exp()).log() + peak
        return total.gather(1, nodes.flatten(1)).view(nodes.shape)


def make(
    kind: Kind, width: int, trie: Trie, embeddings: np.ndarray, codewords: Sequence[np.ndarray] | None = None
) -> Geometry | None:
    """`embeddings` (N, dim) of the candidates, of unit length; `codewords` as the scheme of identifiers has them."""
    if kind == "none":
        return None
    if kind == "codebook":
        if not codewords:
            raise ValueError(
                "geometry: codebook needs identifiers whose vectors are sums of codewords: scheme `cart` or `residual` "
                "with `network: linear`; with others use `centroid` or `learned`"
            )
        return OfCodes(width, codewords, trie.levels)
    if kind == "lse":
        return OfCandidates(width, embeddings, trie)
    return OfNodes(width, means(trie, embeddings), learned=kind == "learned")


def means(trie: Trie, embeddings: np.ndarray) -> list[np.ndarray]:
    """float32 (nodes, dim) for each level: the direction of the mean of the candidates below a node."""
    tables, ordered = [], embeddings[trie.rows]
    for level in range(trie.levels):
        first, _ = trie.span(level, np.arange(trie.count(level)))
        total = np.add.reduceat(ordered, first, axis=0)
        length = np.linalg.norm(total, axis=1, keepdims=True)
        tables.append((total / np.maximum(length, 1e-12)).astype(np.float32))
    return tables

"""Batches for contrastive training: groups of items that the model so far finds similar, as hard negatives."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

GROUP = 8  # items that look alike in one batch


class LookAlikes:
    """Remembers each item's last vector, and draws groups of neighbours. Random batches hold few hard negatives."""

    def __init__(self, items: int, dim: int, rng: np.random.Generator) -> None:
        self.vectors = torch.zeros(items, dim)
        self.seen = 0
        self.rng = rng

    def update(self, items: np.ndarray, vectors: Tensor) -> None:
        self.vectors[items] = vectors.detach().float().cpu()
        self.seen += len(items)

    def items(self, count: int) -> np.ndarray:
        """int64 [≤ count], none twice: at random until every item was seen about once, in groups from then on."""
        size = len(self.vectors)
        order = self.rng.permutation(size)
        if self.seen < size or size <= count:
            return order[:count]
        return in_groups(self.vectors, order, count // GROUP, self.rng)[:count]


def in_groups(vectors: Tensor, order: np.ndarray, groups: int, rng: np.random.Generator) -> np.ndarray:
    """All items of a random order, each once: first `groups` of them, then some neighbours of each, then the others."""
    anchors = order[:groups]
    near = torch.topk(vectors[anchors] @ vectors.T, min(2 * GROUP, len(vectors))).indices.numpy()
    chosen = rng.permuted(near, axis=1)[:, : GROUP - 1]
    members = np.concatenate([anchors, chosen.ravel(), order[groups:]])
    _, first = np.unique(members, return_index=True)
    return members[np.sort(first)]

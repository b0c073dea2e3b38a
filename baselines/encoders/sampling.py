"""Batches for contrastive training: items that look alike to the model so far, so that it learns to tell them apart."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

GROUP = 8  # items that look alike in one batch


class LookAlikes:
    """Remembers the vector that each item had when it was last seen, and draws groups of neighbours.

    Random batches teach what separates most things from each other and little of what separates the similar ones.
    """

    def __init__(self, items: int, dim: int, rng: np.random.Generator) -> None:
        self.vectors = torch.zeros(items, dim)
        self.seen = 0
        self.rng = rng

    def saw(self, items: np.ndarray, vectors: Tensor) -> None:
        self.vectors[items] = vectors.detach().float().cpu()
        self.seen += len(items)

    def items(self, count: int) -> np.ndarray:
        """int64 [≤ count], none twice: at random until every item was seen about once, in groups from then on."""
        size = len(self.vectors)
        strangers = self.rng.permutation(size)
        if self.seen < size or size <= count:
            return strangers[:count]
        anchors = strangers[: count // GROUP]
        near = torch.topk(self.vectors[anchors] @ self.vectors.T, min(2 * GROUP, size)).indices.numpy()
        chosen = self.rng.permuted(near, axis=1)[:, : GROUP - 1]
        members = np.concatenate([anchors, chosen.ravel(), strangers[len(anchors) :]])
        _, first = np.unique(members, return_index=True)
        return members[np.sort(first)][:count]

"""Which items are right for a text: equal texts (above all labels) are one text, right for every item that has it.

Used by all contrastive training, so that no item counts as wrong for its own label.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.contract.dataset import Links, Pairs


class Positives:
    def __init__(self, pairs: Pairs) -> None:
        numbers: dict[str, int] = {}
        self.text = np.array([numbers.setdefault(text, len(numbers)) for text in pairs.queries], np.int64)
        self.texts = len(numbers)  # different ones
        self.captions = captions_of(pairs)
        joined = self.text[pairs.links.queries] * len(pairs.candidates) + pairs.links.targets
        self.shared = len(np.unique(joined)) > self.texts  # some texts are right for several items

    def among(self, captions: np.ndarray, items: np.ndarray) -> Tensor | None:
        """bool (captions, items): which items each caption is right for; None where each is right for its own alone."""
        if not self.shared:
            return None
        borne = self.captions.take(items)
        equal = self.text[captions][:, None] == self.text[borne.targets]  # (captions, all captions of the items)
        right = np.logical_or.reduceat(equal, borne.starts[:-1], axis=1)
        return torch.from_numpy(right) if right.sum() > len(right) else None


def captions_of(pairs: Pairs) -> Links:
    """The other way round: the captions (queries) of each item (candidate)."""
    return Links.paired(pairs.links.targets, pairs.links.queries, len(pairs.candidates))


def contrast(logits: Tensor, right: Tensor | None) -> Tensor:
    """CLIP's loss for logits (B, B) of captions and items: each caption's own item is on the diagonal.

    Where captions are right for several items (`right`), the divergence from an even share among those, both ways: its
    gradients are those of the cross-entropy, but a perfect model's loss is 0.
    """
    if right is None:
        own = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    right = right.to(logits)
    return (_divergence(logits, right) + _divergence(logits.T, right.T)) / 2


def _divergence(logits: Tensor, right: Tensor) -> Tensor:
    return F.kl_div(logits.float().log_softmax(1), right / right.sum(1, keepdim=True), reduction="batchmean")


def reciprocal_ranks(scores: Tensor, right: Tensor) -> Tensor:
    """1 / rank of the best right candidate of each query, 0 where there is none; scores and bool right (Q, N)."""
    best = torch.where(right, scores, -torch.inf).amax(1, keepdim=True)
    return torch.where(right.any(1), 1.0 / (scores > best).sum(1).add(1), 0.0)


def right_ones(links: Links, candidates: int) -> Tensor:
    """bool (Q, N) of links."""
    right = torch.zeros(len(links), candidates, dtype=torch.bool)
    right[torch.tensor(links.queries), torch.tensor(links.targets)] = True  # copies: links are read-only
    return right

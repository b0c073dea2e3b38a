"""The log-probability of every candidate: the reference that beam search and training are tested against."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cart.decoding import Model, Normalise, children, gains
from cart.trie import Trie


@torch.inference_mode()
def score_all(
    model: Model, queries: Any, trie: Trie, normalise: Normalise = "legal", chunk: int = 4096
) -> Tensor:  # float32 (Q, N)
    """A walk through the whole tree, about `chunk` leaves at a time: what a beam as wide as the gallery finds."""
    state, count = model.begin(queries)
    scores = torch.full((count, len(trie)), -torch.inf, device=trie.rows.device)
    if not count:
        return scores
    root = torch.zeros(count, 1, dtype=torch.int64, device=trie.rows.device)
    child, real = children(trie, 0, root)
    logits, state = model.level(state, 0, root, root, root)
    firsts = gains(model, state, logits, trie, 0, child, real, normalise)[:, 0]  # (Q, nodes of level 0)
    leaves = trie.span(0, torch.arange(trie.count(0), device=root.device))[1]
    for nodes in torch.arange(trie.count(0), device=root.device).split(_runs(leaves, chunk)):
        total, below = firsts[:, nodes], state
        parents = torch.zeros_like(nodes)
        for level in range(1, trie.levels):
            tokens = trie.tokens[level - 1][nodes].long()
            logits, below = model.level(below, level, *(x.expand(count, -1) for x in (tokens, nodes, parents)))
            child, real = (x.expand(count, -1, -1) for x in children(trie, level, nodes[None]))
            total = total[..., None] + gains(model, below, logits, trie, level, child, real, normalise)
            total = total[real].unflatten(0, (count, -1))  # children of a run of nodes are a run of nodes
            parents = torch.arange(len(nodes), device=root.device).repeat_interleave(real[0].sum(1))
            nodes = child[0][real[0]]
        scores[:, trie.rows[nodes].long()] = total
    return scores


def _runs(ends: Tensor, chunk: int) -> list[int]:
    """Lengths of runs of nodes with about `chunk` leaves each, at least a node each."""
    return [run for run in torch.bincount((ends - 1) // chunk).tolist() if run]

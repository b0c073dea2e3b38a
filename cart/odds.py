"""How likely each token of an answer was, given those before it: for people who look at answers. For `retriever`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cart.decoding import Model, Normalise, children, gains
from cart.trie import Trie


@torch.inference_mode()
def odds(model: Model, queries: Any, trie: Trie, paths: Tensor, normalise: Normalise = "legal") -> Tensor:
    """float32 (Q, K, levels): the probability of each step of `paths`, int64 (Q, K, levels) of nodes, below the tree.

    The same steps as a search's, along given paths instead of the best ones: their product is an answer's score.
    """
    state, count = model.begin(queries)
    nodes = torch.zeros(count, 1, dtype=torch.int64, device=trie.rows.device)  # one beam at the root
    tokens = parents = nodes
    found = []
    for level in range(trie.levels):
        logits, state = model.level(state, level, tokens, nodes, parents)
        child, real = children(trie, level, nodes)  # (Q, B, M): B is 1, then K
        gained = gains(model, state, logits, trie, level, child, real, normalise).expand(-1, paths.shape[1], -1)
        place = paths[..., level : level + 1] - child[..., :1]  # children are a run of nodes
        found.append(gained.gather(2, place)[..., 0])
        parents = (
            torch.arange(paths.shape[1], device=nodes.device).expand(count, -1)
            if level
            else nodes.expand(-1, paths.shape[1])
        )
        nodes = paths[..., level]
        tokens = trie.tokens[level][nodes].long()
    return torch.stack(found, 2).exp()

"""The text side of the small captioner as a text tower, for retrievers that encode queries with it.

The captioner has learnt to predict every next word, so its states hold more of a text than a text tower's, which was
trained with one target a text. A word's state depends on the words before it, so a text is the mean over its words:
a layer for each word, then the mean, then the vector.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.machine import compute
from harness.nn.batching import by_length, lengths, trim
from harness.nn.layers import masked_mean
from harness.nn.words import PAD, Vocabulary

AT_ONCE = 512  # texts encoded together
MOST = 1 << 30  # states kept, as numbers: two gigabytes


class CaptionerText(nn.Module):
    """A `TextTower`. The captioner's layers are frozen; the layers that make a vector of a text are new and trained."""

    def __init__(
        self, vocabulary: Vocabulary, words: nn.Embedding, places: Tensor, blocks: nn.ModuleList, dim: int
    ) -> None:
        super().__init__()
        self.vocabulary, self.dim, self.width, self.layers = vocabulary, dim, words.embedding_dim, len(blocks)
        self.words, self.blocks = copy.deepcopy(words), copy.deepcopy(blocks)
        self.places = nn.Parameter(places.detach().clone())
        for frozen in (self.words, self.blocks):
            frozen.requires_grad_(False)
        self.places.requires_grad_(False)
        self.norms = nn.ModuleList(nn.LayerNorm(self.width) for _ in blocks)
        self.meant = nn.Linear(self.width, 4 * self.width)
        self.out = nn.Linear(4 * self.width, dim)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        return self.vocabulary.batch(texts)

    def layered(self, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
        states = [norm(x) for norm, x in zip(self.norms, self._states(tokens), strict=True)]
        return states, self._mean(states[-1], tokens != PAD)

    def precomputed(self, rows: Tensor, device: torch.device) -> Callable[[Tensor], Tensor] | None:
        """A function from positions of these texts (B) to their vectors, the frozen layers computed once, before
        training; None where that would take too much memory."""
        if rows.numel() * self.width > MOST:
            return None
        kept = torch.zeros(*rows.shape, self.width, dtype=torch.bfloat16)  # zeros: padding goes through a norm, too
        with torch.inference_mode(), compute.half_precision():
            for part in by_length(lengths(rows), AT_ONCE):
                short = trim(rows[part])
                kept[part, : short.shape[1]] = self._states(short.to(device))[-1].to(torch.bfloat16).cpu()

        def encode(chosen: Tensor) -> Tensor:
            mask = trim(rows[chosen]) != PAD
            states = kept[chosen, : mask.shape[1]].to(device).float()
            return self._mean(self.norms[-1](states), mask.to(device))

        return encode

    def _states(self, tokens: Tensor) -> list[Tensor]:
        return causal_states(tokens, self.words, self.places, self.blocks)

    def _mean(self, states: Tensor, mask: Tensor) -> Tensor:
        return F.normalize(self.out(masked_mean(F.gelu(self.meant(states)), mask)).float(), dim=-1)


def causal_states(tokens: Tensor, words: nn.Embedding, places: Tensor, blocks: Iterable[nn.Module]) -> list[Tensor]:
    """A causal transformer's states after each layer: (B, L) → (B, L, d) each."""
    x = words(tokens) + places[: tokens.shape[1]]
    causal = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=tokens.device).tril()
    found = []
    for block in blocks:
        x = block(x, causal)
        found.append(x)
    return found

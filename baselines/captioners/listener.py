"""The text side of the small captioner, for whoever wants to hear queries with it.

It has learnt its language word by word, with something to be said at each of them, and hears more in a text than a text
tower that was told one thing a text. A word's state knows what was said before it, so a text is the mean of what its
words mean in their places: a layer for each word, then the mean, then the vector.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.encoders.words import PAD, Vocabulary
from harness.machine import compute
from harness.nn.layers import masked_mean, trim

AT_ONCE = 512  # texts that are read together
MOST = 1 << 30  # numbers that are kept, two gigabytes of them


class Listener(nn.Module):
    """A `TextTower`. The captioner's layers stay as they are; what makes a vector of a text is new, and is trained."""

    def __init__(
        self, vocabulary: Vocabulary, words: nn.Embedding, places: Tensor, blocks: nn.ModuleList, dim: int
    ) -> None:
        super().__init__()
        self.vocabulary, self.dim, self.width, self.layers = vocabulary, dim, words.embedding_dim, len(blocks)
        self.words, self.blocks = copy.deepcopy(words), copy.deepcopy(blocks)
        self.places = nn.Parameter(places.detach().clone())
        for lent in (self.words, self.blocks):
            lent.requires_grad_(False)
        self.places.requires_grad_(False)
        self.norms = nn.ModuleList(nn.LayerNorm(self.width) for _ in blocks)
        self.meant = nn.Linear(self.width, 4 * self.width)
        self.out = nn.Linear(4 * self.width, dim)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        return self.vocabulary.batch(texts)

    def layered(self, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
        states = [norm(x) for norm, x in zip(self.norms, self._read(tokens), strict=True)]
        return states, self._mean(states[-1], tokens != PAD)

    def ahead(self, rows: Tensor, device: torch.device) -> Callable[[Tensor], Tensor] | None:
        """Numbers of these texts (B) → their vectors, with all that stays as it is done once, ahead of training; None
        where that would take too much memory."""
        if rows.numel() * self.width > MOST:
            return None
        kept = torch.zeros(*rows.shape, self.width, dtype=torch.bfloat16)  # padding goes through a norm, too
        with torch.inference_mode(), compute.half_precision():
            for part in (rows != PAD).sum(1).argsort(stable=True).split(AT_ONCE):
                short = trim(rows[part])
                kept[part, : short.shape[1]] = self._read(short.to(device))[-1].to(torch.bfloat16).cpu()

        def hear(chosen: Tensor) -> Tensor:
            mask = trim(rows[chosen]) != PAD
            states = kept[chosen, : mask.shape[1]].to(device).float()
            return self._mean(self.norms[-1](states), mask.to(device))

        return hear

    def _read(self, tokens: Tensor) -> list[Tensor]:
        return read(tokens, self.words, self.places, self.blocks)

    def _mean(self, states: Tensor, mask: Tensor) -> Tensor:
        return F.normalize(self.out(masked_mean(F.gelu(self.meant(states)), mask)).float(), dim=-1)


def read(tokens: Tensor, words: nn.Embedding, places: Tensor, blocks: Iterable[nn.Module]) -> list[Tensor]:
    """A causal transformer's states after each layer: (B, L) → (B, L, d) each."""
    x = words(tokens) + places[: tokens.shape[1]]
    causal = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=tokens.device).tril()
    found = []
    for block in blocks:
        x = block(x, causal)
        found.append(x)
    return found

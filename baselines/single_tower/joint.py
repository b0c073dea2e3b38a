"""The network of `match`: the words of a text attend to an item's patches, and their states become a score.

Both sides start as copies of a small encoder's towers and are trained further. What doesn't depend on the pair is
computed once a side: the states of the words, the keys and values of the patches.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.encoders.small import WordTower
from baselines.encoders.towers import MediaTower, heads
from harness.nn.layers import Attention, masked_mean


class Words(NamedTuple):
    states: Tensor  # (T, L, d)
    mask: Tensor  # (T, L), true where a word stands

    def take(self, rows: Tensor) -> Words:
        return Words(self.states[rows], self.mask[rows])


class CrossLayer(Attention):
    """A layer in which words attend to patches, whose keys and values come precomputed."""

    def __init__(self, dim: int, heads: int, first: bool) -> None:
        super().__init__(dim, heads)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.back = None if first else Attention(dim, heads)  # before the first, the text tower has done this
        self.gates = nn.Linear(dim, 4 * dim)
        self.feed = nn.Linear(2 * dim, dim)

    def cross(self, x: Tensor, mask: Tensor, keyvalue: Tensor) -> Tensor:  # (B, L, d), (B, L), (B, P, 2 d)
        if self.back is not None:
            x = x + self.back(self.norms[2](x), mask[:, None, None, :])
        x = x + self.over(self.queries(self.norms[0](x)), self.halves(keyvalue))
        gate, value = self.gates(self.norms[1](x)).chunk(2, -1)  # a product shows whether word and patch agree
        return x + self.feed(F.gelu(gate) * value)


class Joint(nn.Module):
    def __init__(self, text: WordTower, media: MediaTower, layers: int) -> None:
        super().__init__()
        self.text, self.media, width = text, media, media.width
        self.layers = nn.ModuleList(CrossLayer(width, heads(width), first=number == 0) for number in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.guess = nn.Linear(width, len(text.vocabulary))  # which word was hidden
        self.scale = nn.Parameter(torch.tensor(3.0))  # of the cosine that the score is added to
        nn.init.zeros_(cast(nn.Linear, self.head[2]).weight)  # training begins at the cosine alone
        nn.init.zeros_(cast(nn.Linear, self.head[2]).bias)

    def words(self, tokens: Tensor) -> Words:  # (T, L), 0 where nothing stands
        return Words(self.text.layered(tokens)[0][-1], tokens != 0)

    def patches(self, planes: Tensor) -> Tensor:  # (M, C, H, W) → (M, layers, P, 2 d)
        states = self.media.states(planes)
        return torch.stack([layer.keyvalue(states) for layer in self._layers()], 1)

    def attended(self, words: Words, patches: Tensor) -> Tensor:
        """The words of text b after attending to item b: (B, L, d)."""
        x = words.states
        for number, layer in enumerate(self._layers()):
            x = layer.cross(x, words.mask, patches[:, number])
        return self.norm(x)

    def forward(self, words: Words, patches: Tensor, cosine: Tensor) -> Tensor:  # → (B)
        found = self.head(masked_mean(self.attended(words, patches), words.mask))[:, 0]
        return found + self.scale.exp() * cosine

    def _layers(self) -> list[CrossLayer]:
        return cast(list[CrossLayer], list(self.layers))

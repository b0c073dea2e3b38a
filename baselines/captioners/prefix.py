"""The `prefix` captioner: generates captions from the vectors of any encoder.

A vector becomes a few states that the decoder looks at, as if they were the states of a media tower (ClipCap; Mokady et
al., 2021). The encoder stays as it is, and nothing else is needed of it: so whatever has vectors has captions, and a
likelihood of texts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.captioners.settings import PrefixCaptionerSettings
from baselines.captioners.teller import Teller
from harness.contract.dataset import Contents, Pairs
from harness.contract.instruments import Encoder
from harness.nn.words import Vocabulary


class Prefix(nn.Module):
    """A vector (B, dim) → states (B, P, width)."""

    def __init__(self, dim: int, width: int, places: int) -> None:
        super().__init__()
        self.width = width
        self.places = nn.Parameter(torch.randn(places, width) * 0.02)
        self.spread = nn.Sequential(nn.Linear(dim, 4 * width), nn.GELU(), nn.Linear(4 * width, places * width))
        self.norm = nn.LayerNorm(width)

    def states(self, vectors: Tensor) -> Tensor:
        return self.norm(self.spread(vectors).view(len(vectors), *self.places.shape) + self.places)


class PrefixCaptioner(Teller):
    def __init__(self, settings: PrefixCaptionerSettings, encoder: Encoder, seed: int) -> None:
        super().__init__(settings, seed)
        self.encoder, self.places, self.width = encoder, settings.prefix, settings.width

    def _words(self, train: Pairs) -> Vocabulary:
        return Vocabulary.learn(train.queries)

    def _fresh_media(self) -> Prefix:
        return Prefix(self.encoder.dim, self.width, self.places)

    def _inputs(self, contents: Contents) -> Tensor:
        return torch.from_numpy(self.encoder.embed(contents).copy())

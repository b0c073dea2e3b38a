"""The networks of the `small` encoder: a text transformer, and a CNN with attention over its patches."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.encoders.features import Shape
from baselines.encoders.words import PAD
from harness.layers import Block, masked_mean

PATCHES = 40  # most that the attention among them is given


class TextTower(nn.Module):
    def __init__(self, vocabulary: int, longest: int, dim: int, width: int = 192, layers: int = 2) -> None:
        super().__init__()
        self.layers, self.width, self.dim = layers, width, dim
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(torch.randn(longest, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, width // 48, feed=2) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, dim)
        nn.init.normal_(self.words.weight, std=0.02)

    def states(self, tokens: Tensor) -> list[Tensor]:  # (B, L) → (B, L, width) after each layer
        x = self.words(tokens) + self.places[: tokens.shape[1]]
        mask = (tokens != PAD)[:, None, None, :]
        found = []
        for block in self.blocks:
            x = block(x, mask)
            found.append(self.norm(x))
        return found

    def pooled(self, states: Tensor, tokens: Tensor) -> Tensor:  # (B, L, width), (B, L) → (B, dim)
        return F.normalize(self.out(masked_mean(states, tokens != PAD)), dim=-1)

    def forward(self, tokens: Tensor) -> Tensor:  # (B, L) → (B, dim)
        return self.pooled(self.states(tokens)[-1], tokens)


class MediaTower(nn.Module):
    """Convolutions down to a small grid of patches, then attention among them: order and place matter."""

    def __init__(self, shape: Shape, dim: int, width: int = 192, layers: int = 1) -> None:
        super().__init__()
        self.width = width
        channels = [shape.channels, *_widths(shape, width)]
        kernel = (min(3, shape.height), 3)  # sound has its pitches as channels: one row, and time along it
        order = []
        for number, (before, after) in enumerate(pairwise(channels)):
            order.append((before, after, 2))
            if 0 < number < len(channels) - 2:  # a second look before the next halving, or outlines are hardly learnt
                order.append((after, after, 1))
        stages = [
            nn.Sequential(
                nn.Conv2d(before, after, kernel, stride, padding=(kernel[0] // 2, 1), bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            )
            for before, after, stride in order
        ]
        self.convolutions = nn.Sequential(*stages)
        for parameter in self.convolutions.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            grid = self.convolutions(torch.zeros(2, shape.channels, shape.height, shape.width))
        self.places = nn.Parameter(torch.randn(grid.shape[2] * grid.shape[3], width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, width // 48, feed=2) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, dim)

    def states(self, planes: Tensor) -> Tensor:  # (B, C, H, W) → (B, patches, width)
        grid = self.convolutions(planes.contiguous(memory_format=torch.channels_last))  # (B, width, h, w)
        x = grid.flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, planes: Tensor) -> Tensor:  # (B, C, H, W) → (B, dim)
        return F.normalize(self.out(self.states(planes).mean(1)), dim=-1)


def _widths(shape: Shape, width: int) -> list[int]:
    """The channels after each halving, as many halvings as it takes to leave few patches: …, 64, 128, width."""
    height, across, halvings = shape.height, shape.width, 0
    while height * across > PATCHES:
        height, across, halvings = -(-height // 2), -(-across // 2), halvings + 1
    return [max(16, 128 >> back) for back in range(halvings - 2, -1, -1)] + [width]

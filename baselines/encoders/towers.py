"""The networks of the `small` encoder: a text transformer, and a CNN with attention over its patches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.encoders.features import Shape
from harness.nn.layers import Block, masked_mean
from harness.nn.words import PAD

EYE = 32  # channels of a video frame before frames are joined
PATCHES = 40  # at most, for the attention among them


class TextTower(nn.Module):
    def __init__(self, vocabulary: int, longest: int, dim: int, width: int, layers: int = 2) -> None:
        super().__init__()
        self.layers, self.width, self.dim = layers, width, dim
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(torch.randn(longest, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads(width), feed=2) for _ in range(layers))
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
        return F.normalize(self.out(masked_mean(states, tokens != PAD)).float(), dim=-1)

    def forward(self, tokens: Tensor) -> Tensor:  # (B, L) → (B, dim)
        return self.pooled(self.states(tokens)[-1], tokens)


class MediaTower(nn.Module):
    """Convolutions down to a small grid of patches, then attention among them: order and place matter."""

    def __init__(self, shape: Shape, dim: int, width: int, layers: int = 1) -> None:
        super().__init__()
        kernel = (min(3, shape.height), 3)  # sound has its pitches as channels: one row, and time along it
        channels, widths = shape.channels, _widths(shape, width)
        self.width, self.frames = width, 1
        self.eye, stages = nn.Sequential(), []
        if shape.modality == "video" and len(widths) > 2:
            # Convolutions with shared weights see each frame before all are joined: any of them may show the object.
            self.frames = shape.channels // 3
            self.eye.append(_stage(3, EYE // 2, kernel, 2))
            self.eye.append(_stage(EYE // 2, EYE, kernel, 2))
            self.eye.append(_stage(EYE, EYE, kernel))
            stages.append(_stage(EYE * self.frames, widths[1], (1, 1)))
            channels, widths = widths[1], widths[2:]
        for number, after in enumerate(widths):
            stages.append(_stage(channels, after, kernel, 2))
            if 0 < number < len(widths) - 1:  # a second one before the next halving, or outlines are hardly learnt
                stages.append(_stage(after, after, kernel))
            channels = after
        self.convolutions = nn.Sequential(*stages)
        for parameter in [*self.eye.parameters(), *self.convolutions.parameters()]:
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            grid = self._grid(torch.zeros(2, shape.channels, shape.height, shape.width))
        self.places = nn.Parameter(torch.randn(grid.shape[2] * grid.shape[3], width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads(width), feed=2) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, dim)

    def _grid(self, planes: Tensor) -> Tensor:  # (B, C, H, W) → (B, width, h, w)
        if self.frames > 1:
            each = planes.unflatten(1, (self.frames, -1)).flatten(0, 1)  # (B·frames, 3, H, W)
            planes = self.eye(_channels_last(each)).unflatten(0, (-1, self.frames)).flatten(1, 2)
        return self.convolutions(_channels_last(planes))

    def states(self, planes: Tensor) -> Tensor:  # (B, C, H, W) → (B, patches, width)
        x = self._grid(planes).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, planes: Tensor) -> Tensor:  # (B, C, H, W) → (B, dim)
        return F.normalize(self.out(self.states(planes).mean(1)).float(), dim=-1)


def heads(width: int) -> int:
    """Of attention: 48 numbers each."""
    return max(1, width // 48)


def _stage(before: int, after: int, kernel: tuple[int, int], stride: int = 1) -> nn.Sequential:
    around = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, padding=around, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )


def _channels_last(planes: Tensor) -> Tensor:
    return planes.contiguous(memory_format=torch.channels_last)


def _widths(shape: Shape, width: int) -> list[int]:
    """The channels after each halving, as many as it takes to leave few patches: …, width / 3, 2 width / 3, width."""
    height, across, halvings = shape.height, shape.width, 0
    while height * across > PATCHES:
        height, across, halvings = -(-height // 2), -(-across // 2), halvings + 1
    return [max(16, 2 * width // 3 >> back) for back in range(halvings - 2, -1, -1)] + [width]

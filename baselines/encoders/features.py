"""What the small encoder sees of a medium: log-mel of sound, pixels of pictures, stacked frames of video.

Each comes out as uint8-sized planes [C, H, W] of one fixed shape a modality, so that one CNN serves all three.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.contract.dataset import Contents, Modality, Waveform
from harness.machine import compute
from harness.machine.progress import track

RATE, WINDOW, HOP, MELS = 16_000, 512, 400, 48
SAMPLE, FITTING = 256, 95  # things that settle the shape of all, and the percentage of them that fits whole


@dataclass(frozen=True)
class Shape:
    """The planes that a tower was built for: [C, H, W]."""

    modality: Modality
    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        if self.modality == "audio":
            return f"{(self.width - 1) * HOP / RATE:.3g} s"
        frames = f"{self.channels // 3} frames of " if self.modality == "video" else ""
        return f"{frames}{self.height} x {self.width} pixels"


def shape_of(contents: Contents) -> Shape:
    """The least shape that fits nearly all of a sample in each measure, so that no single odd thing settles it."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(contents))[:SAMPLE])
    sizes = [_size(thing) for thing in contents[chosen]]
    return _shape(contents.modality, *np.percentile(sizes, FITTING, axis=0, method="inverted_cdf").astype(int).tolist())


def _size(thing: Any) -> tuple[int, ...]:
    """What differs between things: steps in time; height and width; frames, height and width."""
    if isinstance(thing, Waveform):
        return (max(2, int(len(thing.samples) * RATE / thing.rate) // HOP + 1),)
    return (*thing.shape[:-3], *_bounded(*thing.shape[-3:-1]))


def _shape(modality: Modality, *size: int) -> Shape:
    if modality == "audio":
        return Shape("audio", MELS, 1, *size)
    frames = size[0] if modality == "video" else 1
    return Shape(modality, 3 * frames, *size[-2:])


def _bounded(height: int, width: int, most: int = 96) -> tuple[int, int]:
    """Small pictures as they are, large ones as squares."""
    return (height, width) if max(height, width) <= most else (most, most)


def planes(contents: Contents, shape: Shape) -> Tensor:
    """float16 [n, C, H, W], roughly within -1..1."""
    return planes_and_cut(contents, shape)[0]


def planes_and_cut(contents: Contents, shape: Shape) -> tuple[Tensor, int]:
    """The planes, and how many of the things are larger than the shape: cut, shrunk, or seen in fewer frames."""
    out = torch.empty(len(contents), shape.channels, shape.height, shape.width, dtype=torch.float16)
    see, cut = audio if shape.modality == "audio" else pictures, 0
    with compute.limited_threads(1):
        for row, thing in enumerate(track(contents, f"{contents.modality} features", len(contents))):
            out[row] = see(thing, shape)
            cut += _larger(_shape(shape.modality, *_size(thing)), shape)
    return out, cut


def _larger(one: Shape, other: Shape) -> bool:
    return one.channels > other.channels or one.height > other.height or one.width > other.width


def audio(sound: Waveform, shape: Shape) -> Tensor:
    """Log-mel; longer sounds are cut, shorter ones end in silence."""
    samples = np.asarray(sound.samples, np.float32)
    if sound.rate != RATE:
        from scipy.signal import resample_poly

        samples = resample_poly(samples, RATE, sound.rate).astype(np.float32)
    wanted = (shape.width - 1) * HOP
    samples = np.pad(samples[:wanted], (0, max(0, wanted - len(samples))))
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(torch.from_numpy(samples), WINDOW, HOP, window=window, return_complex=True)  # (257, W)
    power = spectrum.real.square() + spectrum.imag.square()
    return (torch.log10(mel_filters() @ power + 1e-6) + 2.0)[:, None] / 4.0


@cache
def mel_filters() -> Tensor:
    """Triangles, evenly spaced on the mel scale: float32 [MELS, bins]."""
    top = 2595.0 * np.log10(1.0 + RATE / 2 / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, MELS + 2) / 2595.0) - 1.0)
    bins = np.linspace(0.0, RATE / 2, WINDOW // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clip(min=0.0)
    triangles /= np.maximum(triangles.sum(1, keepdims=True), 1e-6)  # narrow ones may fall between two bins
    return torch.from_numpy(triangles.astype(np.float32))


def pictures(frames: np.ndarray, shape: Shape) -> Tensor:
    """One picture [H, W, 3] or frames [T, H, W, 3] as planes; frames are drawn evenly when their number differs."""
    stack = frames[None] if frames.ndim == 3 else frames
    wanted = shape.channels // 3
    if len(stack) != wanted:
        stack = stack[np.linspace(0, len(stack) - 1, wanted).round().astype(int)]
    pixels = torch.tensor(np.ascontiguousarray(stack)).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    if pixels.shape[-2:] != (shape.height, shape.width):
        pixels = F.interpolate(pixels, (shape.height, shape.width), mode="bilinear", antialias=True)
    return pixels.reshape(shape.channels, shape.height, shape.width)

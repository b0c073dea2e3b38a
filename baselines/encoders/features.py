"""What the small encoder sees of a medium: log-mel of sound, pixels of pictures, stacked frames of video.

Each comes out as uint8-sized planes [C, H, W] of one fixed shape a modality, so that one CNN serves all three.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.contract.dataset import Contents, Modality, Waveform
from harness.contract.store import Recipe, Store
from harness.machine import compute
from harness.machine.progress import track

VERSION = 1  # raise it whenever the same contents and shape would give other planes
RATE, WINDOW, HOP, MELS = 16_000, 512, 400, 48
SAMPLE, FITTING = 256, 95  # things that settle the shape of all, and the percentage of them that fits whole
PIXELS = 96  # along a side at most, unless a suite says otherwise
AT_ONCE = 8  # things that are seen together: their spectra fit a processor's cache


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


def shape_of(contents: Contents, pixels: int = PIXELS) -> Shape:
    """The least shape that fits nearly all of a sample in each measure, so that no single odd thing settles it.

    Pictures are squares of so many pixels along a side, or smaller.
    """
    chosen = np.sort(np.random.default_rng(0).permutation(len(contents))[:SAMPLE])
    sizes = [_size(thing, pixels) for thing in contents[chosen]]
    return _shape(contents.modality, *np.percentile(sizes, FITTING, axis=0, method="inverted_cdf").astype(int).tolist())


def _size(thing: Any, pixels: int = PIXELS) -> tuple[int, ...]:
    """What differs between things: steps in time; height and width; frames, height and width."""
    if isinstance(thing, Waveform):
        return (max(2, int(len(thing.samples) * RATE / thing.rate) // HOP + 1),)
    height, width = thing.shape[-3:-1]
    seen = (pixels, pixels) if max(height, width) > pixels else (height, width)
    return (*thing.shape[:-3], *seen)


def _shape(modality: Modality, *size: int) -> Shape:
    if modality == "audio":
        return Shape("audio", MELS, 1, *size)
    frames = size[0] if modality == "video" else 1
    return Shape(modality, 3 * frames, *size[-2:])


def needed(count: int, shape: Shape) -> int:
    """The bytes of so many planes."""
    return 2 * count * shape.channels * shape.height * shape.width


def planes(contents: Contents, shape: Shape, store: Store | None = None) -> Tensor:
    """float16 [n, C, H, W], roughly within -1..1."""
    return planes_and_cut(contents, shape, store)[0]


def planes_and_cut(contents: Contents, shape: Shape, store: Store | None = None) -> tuple[Tensor, int]:
    """The planes, and how many of the things are larger than the shape: cut, shrunk, or seen in fewer frames.

    With a store they are made once for all who train on these contents or index them, and lie on the disk.
    """
    size = (len(contents), shape.channels, shape.height, shape.width)
    if store is None or not len(contents):
        out = torch.empty(size, dtype=torch.float16)
        return out, _fill(out, contents, shape)
    config = {"version": VERSION, "shape": asdict(shape), "contents": contents.digest}

    def build(folder: Path) -> None:
        out = np.lib.format.open_memmap(folder / "planes.npy", "w+", np.float16, size)
        (folder / "cut.json").write_text(json.dumps(_fill(torch.from_numpy(out), contents, shape)))
        out.flush()

    label = " ".join(contents.source.split(":")[-2:])
    folder = store.make(Recipe("features", label, config), build, needed(len(contents), shape)).folder
    found = np.load(folder / "planes.npy", mmap_mode="c", allow_pickle=False)  # "c": torch warns of what is read-only
    return torch.from_numpy(found), int(json.loads((folder / "cut.json").read_text()))


def batches(planes: Tensor, size: int) -> Iterator[Tensor]:
    """Planes as a tower takes them: float32, on the device, some at a time."""
    for start in range(0, len(planes), size):
        yield planes[start : start + size].to(compute.current().device, torch.float32)


def _fill(out: Tensor, contents: Contents, shape: Shape) -> int:
    """Some things at a time; how many were larger than the shape."""
    things, cut = iter(contents), 0
    see = audio if shape.modality == "audio" else pictures
    with compute.limited_threads(1):
        for start in track(range(0, len(out), AT_ONCE), f"{contents.modality} features"):
            some = list(islice(things, AT_ONCE))
            out[start : start + AT_ONCE] = see(some, shape)
            cut += sum(_larger(_shape(shape.modality, *_size(thing)), shape) for thing in some)
    return cut


def _larger(one: Shape, other: Shape) -> bool:
    return one.channels > other.channels or one.height > other.height or one.width > other.width


def audio(sounds: Sequence[Waveform], shape: Shape) -> Tensor:
    """Log-mel (n, MELS, 1, W); longer sounds are cut, shorter ones end in silence."""
    wanted = (shape.width - 1) * HOP
    samples = np.zeros((len(sounds), wanted), np.float32)
    for row, sound in zip(samples, sounds, strict=True):
        resampled = _resampled(sound)[:wanted]
        row[: len(resampled)] = resampled
    around = F.pad(torch.from_numpy(samples)[:, None], (WINDOW // 2, WINDOW // 2), mode="reflect")[:, 0]
    spectrum = torch.fft.rfft(around.unfold(1, WINDOW, HOP) * torch.hann_window(WINDOW))  # (n, W, 257)
    power = spectrum.real.square() + spectrum.imag.square()
    return (torch.log10(power @ mel_filters().T + 1e-6) + 2.0).transpose(1, 2)[:, :, None] / 4.0


def _resampled(sound: Waveform) -> np.ndarray:
    samples = np.asarray(sound.samples, np.float32)
    if sound.rate == RATE:
        return samples
    from scipy.signal import resample_poly

    return np.asarray(resample_poly(samples, RATE, sound.rate), np.float32)


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


def pictures(several: Sequence[np.ndarray], shape: Shape) -> Tensor:
    return torch.stack([_picture(frames, shape) for frames in several])


def _picture(frames: np.ndarray, shape: Shape) -> Tensor:
    """One picture [H, W, 3] or frames [T, H, W, 3] as planes; frames are drawn evenly when their number differs."""
    stack = frames[None] if frames.ndim == 3 else frames
    wanted = shape.channels // 3
    if len(stack) != wanted:
        stack = stack[np.linspace(0, len(stack) - 1, wanted).round().astype(int)]
    pixels = torch.tensor(np.ascontiguousarray(stack)).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    if pixels.shape[-2:] != (shape.height, shape.width):
        pixels = F.interpolate(pixels, (shape.height, shape.width), mode="bilinear", antialias=True)
    return pixels.reshape(shape.channels, shape.height, shape.width)

"""What all encoders with weights from elsewhere share: lazy loading, batches, frames of video, precision.

An adapter's own file holds only how its library loads, tokenises texts and encodes media.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from harness.contract.dataset import Contents, Modality, Pairs, Unavailable, Waveform
from harness.contract.instruments import TokenEncoder
from harness.machine import compute
from harness.machine.compute import Precision
from harness.nn import batching, checkpoints

TEXTS, THINGS = 256, 32  # at once; a video's frames count as things


class Towers(NamedTuple):
    """A loaded model, ready to search."""

    dim: int
    parameters: int
    tokens: Callable[[Sequence[str]], Tensor]  # texts → int64 [n, length], 0 where nothing stands
    text: Callable[[Tensor], Tensor]  # tokens → [n, dim], of any length
    media: Callable[[list[Any]], Tensor]  # pictures or waveforms → [n, dim], of any length
    text_states: Callable[[Tensor], Tensor] | None = None  # tokens → [n, length, width]
    media_states: Callable[[list[Any]], Tensor] | None = None  # → [n, length, width]


class PretrainedEncoder(TokenEncoder):
    def __init__(self, precision: Precision, frames: int = 1) -> None:
        self.precision, self.frames = precision, frames
        self._towers: Towers | None = None

    @abstractmethod
    def _load(self) -> Towers:
        """From the checkpoint; `Unavailable` where it can't be had."""

    @property
    def towers(self) -> Towers:
        """Loaded when something is first encoded: the vectors of a gallery are mostly in the store."""
        if self._towers is None:
            checkpoints.require(self.precision)
            self._towers = self._load()
        return self._towers

    def fit(self, train: Pairs, validation: Pairs) -> None:
        """Nothing is learnt; this loads it, to fail before anything is made from it."""
        self.dim, self.parameters = self.towers.dim, self.towers.parameters

    def encode(self, contents: Contents) -> np.ndarray:
        out = np.empty((len(contents), self.dim), np.float32)
        towers = self.towers
        with torch.inference_mode(), compute.amp(self.precision):
            if contents.modality == "text" and len(contents):
                tokens, device = towers.tokens(list(contents)), compute.current().device
                found = batching.encode(lambda rows: towers.text(rows).float(), tokens, device, compute.at_once(TEXTS))
                return F.normalize(found, dim=-1).cpu().numpy()
            if contents.modality == "text":
                return out
            for start, things, each in self._batches(contents):
                vectors = F.normalize(towers.media(things).float(), dim=-1)
                if each > 1:  # a video is the mean of its frames, each of unit length (CLIP4Clip, Luo et al., 2021)
                    vectors = F.normalize(vectors.view(-1, each, self.dim).mean(1), dim=-1)
                out[start : start + len(vectors)] = vectors.cpu().numpy()
        return out

    def tokens(self, contents: Contents) -> tuple[np.ndarray, np.ndarray]:
        """A video's states are those of its frames, one after another."""
        towers = self.towers
        states: Any = towers.text_states if contents.modality == "text" else towers.media_states
        if states is None:
            raise NotImplementedError(
                f"{type(self).__name__} has no states of {contents.modality}: use another encoder"
            )
        with torch.inference_mode(), compute.amp(self.precision):
            if contents.modality == "text":
                tokens = towers.tokens(list(contents)).to(compute.current().device)
                found = torch.cat([states(part).float() for part in tokens.split(compute.at_once(TEXTS))])
                return found.cpu().numpy(), (tokens != 0).cpu().numpy()
            seen: list[np.ndarray] = []
            for _, things, each in self._batches(contents):
                found = states(things).float().cpu().numpy()
                seen.append(found.reshape(-1, each * found.shape[1], found.shape[2]))
        together = np.concatenate(seen) if seen else np.empty((0, 1, self.dim), np.float32)
        return together, np.ones(together.shape[:2], bool)

    def _batches(self, contents: Contents) -> Iterator[tuple[int, list[Any], int]]:
        """A position, the model's inputs from there on, and how many of them make up one of the contents."""
        known = [medium for medium in self.modalities if medium != "text"]
        if contents.modality not in known:
            raise Unavailable(
                f"{type(self).__name__} encodes text and {' and '.join(known)}, no {contents.modality}: "
                f"name another encoder for this task"
            )
        each = self.frames if contents.modality == "video" else 1
        step = max(1, compute.at_once(THINGS) // each)
        for start in range(0, len(contents), step):
            part = contents[start : start + step]
            yield start, [thing for content in part for thing in _things(content, contents.modality, each)], each

    def save(self, folder: Path) -> None:
        """The weights stay where they are."""
        sizes = {"dim": self.dim, "parameters": self.parameters}
        (folder / "pretrained.json").write_text(json.dumps(sizes))

    def load(self, folder: Path) -> None:
        sizes = json.loads((folder / "pretrained.json").read_text())
        self.dim, self.parameters = sizes["dim"], sizes["parameters"]


def _things(content: Any, modality: Modality, frames: int) -> list[Any]:
    """A waveform, a picture, or as many frames of a video, drawn evenly."""
    if modality == "audio":
        return [content]
    stack = content[None] if modality == "image" else content
    if modality == "video":
        stack = stack[np.linspace(0, len(stack) - 1, frames).round().astype(int)]
    return [Image.fromarray(np.ascontiguousarray(frame)) for frame in stack]


def resampled(sound: Waveform, rate: int) -> np.ndarray:
    """float32 samples at another rate; an empty sound becomes one sample of silence."""
    samples = np.asarray(sound.samples, np.float32)
    if sound.rate != rate and len(samples):
        from math import gcd

        from scipy.signal import resample_poly

        common = gcd(rate, sound.rate)
        samples = resample_poly(samples, rate // common, sound.rate // common).astype(np.float32)
    return samples if len(samples) else np.zeros(1, np.float32)


def middle(samples: np.ndarray, most: int) -> np.ndarray:
    """The middle of a sound that is too long: libraries cut at random, so that no two runs would agree."""
    start = max(0, (len(samples) - most) // 2)
    return samples[start : start + most]

"""A picture, a sound or a film made small, for people to look at: a thumbnail, and the thing itself where it moves.

    NAME.webp    thumbnail: the picture, the middle frame, or the sound's spectrogram
    NAME.ogg     a sound, its first half minute
    NAME.anim    a film, as an animated picture in WebP
    NAME.full    a picture, in WebP

Called when a contest is over.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.contract.dataset import Modality, Waveform
from harness.machine import files

SIDE, LARGE = 96, 360  # pixels at most, of a thumbnail and of the thing itself
SPECTROGRAM = (128, 48)  # pixels: time, frequency
SHADES = ((18, 12, 38), (92, 28, 108), (196, 62, 80), (246, 156, 60), (252, 244, 196))  # as bright as they are loud
LONGEST_S = 30
FRAMES, FRAME_MS = 24, 125  # of a film, at most
ENDINGS = {"image": "full", "audio": "ogg", "video": "anim"}


def write(stem: Path, modality: Modality, thing: Any) -> None:
    """The thumbnail last: where it stands, all stands."""
    whole, small = MAKERS[modality](thing)
    files.write(stem.with_name(f"{stem.name}.{ENDINGS[modality]}"), whole)
    files.write(stem.with_name(f"{stem.name}.webp"), small)


def _picture(pixels: np.ndarray) -> tuple[bytes, bytes]:
    return _webp([pixels], LARGE), _webp([pixels], SIDE)


def _film(frames: np.ndarray) -> tuple[bytes, bytes]:
    kept = frames[np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int)]
    return _webp(list(kept), LARGE // 2), _webp([frames[len(frames) // 2]], SIDE)


def _sound(sound: Waveform) -> tuple[bytes, bytes]:
    import soundfile

    samples = np.asarray(sound.samples, np.float32)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples[: LONGEST_S * sound.rate], sound.rate, format="OGG", subtype="VORBIS")
    return buffer.getvalue(), _webp([spectrogram(samples)], max(SPECTROGRAM))


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3]: time to the right, pitch upwards on a scale of octaves, 60 dB from dark to bright."""
    across, up = SPECTROGRAM
    window = 1024
    padded = np.pad(samples, (0, max(0, window - len(samples))))
    starts = np.linspace(0, len(padded) - window, across).astype(int)
    frames = padded[starts[:, None] + np.arange(window)] * np.hanning(window)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2  # [across, window / 2 + 1]
    edges = np.unique(np.geomspace(2, power.shape[1] - 1, up + 1).astype(int))
    bands = np.add.reduceat(power, edges[:-1], axis=1) / np.diff(edges)
    decibels = 10 * np.log10(bands + 1e-12)
    level = np.clip((decibels - decibels.max()) / 60 + 1, 0, 1)
    level = level.T[::-1][(np.arange(up) * level.shape[1]) // up]  # low pitches share their lines
    shades = np.linspace(0, 1, len(SHADES))
    return np.stack([np.interp(level, shades, channel) for channel in zip(*SHADES, strict=True)], axis=2).astype(
        np.uint8
    )


MAKERS: Mapping[str, Callable[[Any], tuple[bytes, bytes]]] = {"image": _picture, "audio": _sound, "video": _film}


def _webp(frames: list[np.ndarray], side: int) -> bytes:
    from PIL import Image

    pictures = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    for picture in pictures:
        picture.thumbnail((side, side))
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": pictures[1:], "duration": FRAME_MS, "loop": 0} if pictures[1:] else {}
    pictures[0].save(buffer, "WEBP", quality=60, method=2, **more)
    return buffer.getvalue()

"""A sound file as one channel at one rate. soundfile reads what it holds; whether all of it is there we look up."""

from __future__ import annotations

import math
import os
import struct
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from harness.dataset import Waveform
from harness.media.errors import Undecodable

MOST_SECONDS = 1800.0
BLOCK = 1 << 18  # frames read at once: only the mix of all channels is kept
UNKNOWN_SIZES = (0, 0x7FFFFFFF)  # what programs write who don't know yet how long it will be: 0, or nearly 2 or 4 GB
LAST_PAGE = 4  # flag of an Ogg page: the stream ends here


def sound(path: Path, rate: int) -> Waveform:
    import soundfile

    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:  # bytes: a name may be no text at all
            if file.frames > MOST_SECONDS * file.samplerate:
                long = file.frames / file.samplerate
                raise Undecodable(f"{long:,.0f} s of sound; at most {MOST_SECONDS:,.0f} s are decoded")
            samples = _mixed(file)
            declared, found_at = file.frames, file.samplerate
    except (soundfile.LibsndfileError, RuntimeError) as error:
        if not os.access(path, os.R_OK):
            raise PermissionError(f"can't be opened: {error}") from error
        raise Undecodable(str(getattr(error, "error_string", error))) from error
    if len(samples) < declared:
        raise Undecodable(f"ends after {len(samples):,} of {declared:,} samples")
    if not len(samples):
        raise Undecodable("no samples in it")
    if not np.isfinite(samples).all():
        raise Undecodable("samples that are no numbers")
    _check_whole(path)
    return Waveform(np.clip(resampled(samples, found_at, rate), -1.0, 1.0), rate)


def _mixed(file: object) -> np.ndarray:
    blocks = []
    while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):  # type: ignore[attr-defined]
        blocks.append(block.mean(axis=1))
        if len(blocks) * BLOCK > 2 * MOST_SECONDS * 192_000:
            raise Undecodable("a sound that does not end")
    return np.concatenate(blocks) if blocks else np.empty(0, np.float32)


def resampled(samples: np.ndarray, found: int, wanted: int) -> np.ndarray:
    """Polyphase, with a filter that leaves 70 dB less of what the new rate can't hold."""
    if found == wanted:
        return samples
    from scipy.signal import resample_poly

    common = math.gcd(found, wanted)
    up, down = wanted // common, found // common
    return np.asarray(resample_poly(samples, up, down, window=_taps(max(up, down))), np.float32)


@lru_cache(maxsize=16)
def _taps(widest: int) -> np.ndarray:
    """32 zero crossings on each side: the transition then takes 7 % of the band."""
    from scipy.signal import firwin

    return np.asarray(firwin(2 * 32 * widest + 1, 0.95 / widest, window=("kaiser", 7.0)), np.float32)


# libsndfile reads as much of a WAV or an Ogg file as there is and takes that for the whole. Both say how long they are:
# a WAV in front of its samples, an Ogg in a flag of its last page.
def _check_whole(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
            missing = _missing_of_wave(file, size)
            if missing > 0:
                raise Undecodable(f"truncated: {missing:,} bytes of its samples are missing")
        elif head[:4] == b"OggS":
            file.seek(max(0, size - (1 << 17)))  # a page is smaller
            tail = file.read()
            at = tail.rfind(b"OggS")
            if at < 0 or at + 5 >= len(tail) or not tail[at + 5] & LAST_PAGE:
                raise Undecodable("truncated: its last page is missing")
            if _page_size(tail[at:]) > len(tail) - at:
                raise Undecodable("truncated: its last page is not whole")


def _missing_of_wave(file: BinaryIO, size: int) -> int:
    at = 12
    while len(head := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        at += 8
        if name == b"data":
            streamed = any(abs(length - unknown) < 4096 for unknown in (*UNKNOWN_SIZES, 0xFFFFFFFF))
            return 0 if streamed else at + length - size
        at += length + length % 2
        file.seek(at)
    return 0


def _page_size(page: bytes) -> int:
    """Bytes of an Ogg page: header, table of segments, segments."""
    if len(page) < 27:
        return 27
    segments = page[26]
    return 27 + segments + sum(page[27 : 27 + segments])

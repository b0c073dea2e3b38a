"""A sound file as one channel at one rate. soundfile reads what it holds; whether all of it is there we look up."""

from __future__ import annotations

import os
import struct
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from harness.contract.dataset import Waveform
from harness.data.media.errors import Undecodable
from harness.data.media.job import LONGEST_S

RATES = (100, 768_000)  # that a file may claim: beyond them stands a mistake, or worse
MOST_CHANNELS = 64
DENSEST = 96_000  # samples of all channels for each second that is allowed: two channels at 48 kHz, all the time
BLOCK = 1 << 18  # samples read at once: only the mix of all channels is kept
MOST_PHASES = 50_000  # of a resampling filter; an odder ratio of rates is rounded, by less than 0.01 %
UNKNOWN_SIZES = (0, 0x7FFFFFFF)  # written by programs before the length is known: 0, or nearly 2 or 4 GB
LAST_PAGE = 4  # flag of an Ogg page: the stream ends here


def sound(path: Path, rate: int, longest_s: float = LONGEST_S) -> Waveform:
    import soundfile

    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:  # bytes: a name may be no text at all
            _check_size(file.frames, file.samplerate, file.channels, rate, longest_s)
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


def _check_size(frames: int, found: int, channels: int, wanted: int, longest_s: float) -> None:
    """By what the file says of itself, before any of it is decoded: what it would take, in time and memory."""
    if not RATES[0] <= found <= RATES[1]:
        raise Undecodable(f"{found:,} samples a second; from {RATES[0]:,} to {RATES[1]:,} are read")
    if channels > MOST_CHANNELS:
        raise Undecodable(f"{channels:,} channels; at most {MOST_CHANNELS} are decoded")
    if frames > longest_s * found:
        raise Undecodable(f"{frames / found:,.0f} s of sound; at most {longest_s:,.0f} s are decoded (`longest_s`)")
    count, most = max(frames * channels, frames * wanted // found), int(longest_s * DENSEST)
    if count > most:
        raise Undecodable(f"{count:,} samples; at most {most:,} are decoded (`longest_s` times {DENSEST:,})")


def _mixed(file: Any) -> np.ndarray:
    samples, count = np.empty(file.frames, np.float32), 0
    while len(block := file.read(BLOCK // file.channels, dtype="float32", always_2d=True)):
        if count + len(block) > len(samples):  # more than it says
            samples = np.concatenate([samples, np.empty(len(block), np.float32)])
        samples[count : count + len(block)] = block.mean(axis=1)
        count += len(block)
        if count > 2 * file.frames + BLOCK:
            raise Undecodable("a sound that does not end")
    return samples[:count]


def resampled(samples: np.ndarray, found: int, wanted: int) -> np.ndarray:
    """Polyphase, with a filter that leaves 70 dB less of what the new rate can't hold."""
    if found == wanted:
        return samples
    from scipy.signal import resample_poly

    up, down = _ratio(found, wanted)
    return np.asarray(resample_poly(samples, up, down, window=_taps(max(up, down))), np.float32)


def _ratio(found: int, wanted: int) -> tuple[int, int]:
    """By how much to sample up and down: the filter is as long as the greater of them, so that is bounded."""
    smaller = Fraction(min(found, wanted), max(found, wanted))
    if smaller.denominator > MOST_PHASES:
        smaller = smaller.limit_denominator(MOST_PHASES)
    low, high = smaller.as_integer_ratio()
    return (low, high) if found > wanted else (high, low)


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

"""A map of candidates in a run's folder: where they lie on a plane, and their identifiers. Written and read here.

Nobody's figures depend on it: one that can't be read is none.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from harness.machine import files

UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)  # arrays in a file


@dataclass(frozen=True)
class Map:
    positions: np.ndarray  # int64 [n]: in the gallery
    places: np.ndarray  # float32 [n, 2]: near each other where their vectors are
    tokens: np.ndarray  # int32 [n, levels]: their identifiers
    nearest: int  # so many candidates nearest to each by their vectors, before they were brought to a plane
    shared: float  # of these the share that has the same first token
    chance: float  # the same share of candidates drawn at random


def write(path: Path, found: Map) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **asdict(found))
    files.write(path, buffer.getvalue())


def read(path: Path) -> Map | None:
    """None where there is none, or none that is whole."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            numbers = [arrays[name].item() for name in ("nearest", "shared", "chance")]
            found = Map(arrays["positions"], arrays["places"], arrays["tokens"], *numbers)
    except UNREADABLE:
        return None
    return found if _whole(found) else None


def _whole(found: Map) -> bool:
    count = len(found.positions)
    shapes = found.positions.ndim == 1 and found.places.shape == (count, 2) and found.tokens.ndim == 2
    return shapes and len(found.tokens) == count > 0 < found.tokens.shape[1] and bool(np.isfinite(found.places).all())

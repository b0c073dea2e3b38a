"""Writes the vectors of contents to a file, a part at a time: flat in memory, and resumable after a kill.

The workshop calls it for every artifact of embeddings. Parts always begin at the same rows, so that it makes no
difference where an attempt before was cut off.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np

from harness import files
from harness.dataset import Contents
from harness.instruments import Encoder
from harness.progress import track

FILE = "vectors.npy"
PART = {"text": 8192, "image": 512, "audio": 512, "video": 64}  # contents that are encoded and written together


def write(folder: Path, scratch: Path, encoder: Encoder, contents: Contents, label: str = "") -> float:
    """`FILE` in the folder, float32 [n, dim]; the seconds that attempts before this one had spent on it.

    Finished parts wait in `scratch`, which outlives a kill.
    """
    size, part = len(contents), PART[contents.modality]
    scratch.mkdir(parents=True, exist_ok=True)
    path, book = scratch / FILE, scratch / "done.json"
    head = _head(size, encoder.dim)
    rows, spent = _done(path, book, head, encoder.dim, part, size)
    begun = time.perf_counter() - spent
    with path.open("r+b" if rows else "w+b") as stream:
        if not rows:
            stream.write(head)
        stream.truncate(len(head) + rows * encoder.dim * 4)
        stream.seek(0, os.SEEK_END)
        for start in track(range(rows, size, part), f"embeddings {label} of {size:,}".replace("  ", " ")):
            vectors = encoder.encode(contents[start : start + part])
            check_vectors(vectors, min(part, size - start), encoder.dim, start)
            stream.write(np.ascontiguousarray(vectors, "<f4").data)
            stream.flush()
            os.fsync(stream.fileno())  # what is booked as done has reached the disk
            seconds = time.perf_counter() - begun
            files.write_json(book, {"rows": start + len(vectors), "size": size, "part": part, "seconds": seconds})
    path.rename(folder / FILE)
    return spent


def check_vectors(vectors: np.ndarray, count: int, dim: int, first: int = 0) -> None:
    """Of the right shape and finite; `first` is where they stand among all."""
    if vectors.shape != (count, dim):
        raise ValueError(f"the encoder gave vectors of shape {vectors.shape}, expected {(count, dim)}")
    broken = ~np.isfinite(vectors).all(axis=1)
    if broken.any():
        raise ValueError(
            f"the encoder gave NaN or infinity for {broken.sum()} of {count} contents, first at position "
            f"{first + int(np.argmax(broken))}: look at that file, or at the encoder's weights"
        )


def _head(size: int, dim: int) -> bytes:
    """What a .npy file of these vectors begins with."""
    from io import BytesIO

    stream = BytesIO()
    told = {"descr": "<f4", "fortran_order": False, "shape": (size, dim)}
    np.lib.format.write_array_header_1_0(stream, told)
    return stream.getvalue()


def _done(path: Path, book: Path, head: bytes, dim: int, part: int, size: int) -> tuple[int, float]:
    """How many rows an attempt before had finished, and the seconds that they took: nothing where anything is odd."""
    try:
        told = json.loads(book.read_bytes())
        rows, seconds = told["rows"], float(told["seconds"])
        with path.open("rb") as stream:
            same = stream.read(len(head)) == head
        whole = path.stat().st_size >= len(head) + rows * dim * 4
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0.0
    begun_alike = told.get("part") == part and told.get("size") == size and (rows % part == 0 or rows == size)
    return (rows, seconds) if same and whole and begun_alike and 0 < rows <= size else (0, 0.0)

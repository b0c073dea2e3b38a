"""Writes the vectors of contents to a file, a part at a time: flat in memory, and resumable after a kill.

Called by the builder for every artifact of embeddings. Parts always begin at the same rows, wherever an earlier run was
cut off. A file beside them holds the digest of each, and a part that was altered since is encoded again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.contract.dataset import Contents
from harness.contract.instruments import Encoder
from harness.machine import files, finite
from harness.machine.progress import say, track

FILE = "vectors.npy"
BOOK = "done.sealed"
PART = {"text": 8192, "image": 512, "audio": 512, "video": 64}  # contents encoded and written together
OFF = 1e-2  # from 1, of a length: numbers of 16 bits are no more exact


class Part(NamedTuple):
    """A finished part: its digest, and the seconds that it and those before it took."""

    sha256: str
    seconds: float


def needed(count: int, dim: int) -> int:
    """The bytes of so many vectors."""
    return len(_head(count, dim)) + count * dim * 4


def write(folder: Path, scratch: Path, encoder: Encoder, contents: Contents, label: str = "") -> float:
    """Write `FILE` into the folder, float32 [n, dim]; returns the seconds that earlier runs had spent on it.

    Finished parts wait in `scratch`, which outlives a kill.
    """
    size, part = len(contents), PART[contents.modality]
    scratch.mkdir(parents=True, exist_ok=True)
    path, book = scratch / FILE, scratch / BOOK
    head = _head(size, encoder.dim)
    done = _done(path, book, head, part * encoder.dim * 4, label)
    rows, spent = min(size, part * len(done)), done[-1].seconds if done else 0.0
    begun = time.perf_counter() - spent
    encode = encoder.ahead(contents)
    with path.open("r+b" if rows else "w+b") as stream:
        if not rows:
            stream.write(head)
        stream.truncate(len(head) + rows * encoder.dim * 4)
        stream.seek(0, os.SEEK_END)
        for start in track(range(rows, size, part), f"embeddings {label} of {size:,}".replace("  ", " ")):
            vectors = encode(slice(start, start + part))
            check_vectors(vectors, min(part, size - start), encoder.dim, start)
            data = np.ascontiguousarray(vectors, "<f4").data
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())  # before it is booked as done
            done.append(Part(hashlib.sha256(data).hexdigest(), time.perf_counter() - begun))
            files.write_sealed(book, json.dumps(done).encode())
    path.rename(folder / FILE)
    return spent


def check_vectors(vectors: np.ndarray, count: int, dim: int, first: int = 0) -> None:
    """Of the right shape, finite, of unit length; `first` is where they stand among all.

    A row of zeros may stay: a text without a known word has no direction, and matches nothing.
    """
    if not isinstance(vectors, np.ndarray):
        raise TypeError(
            f"the encoder gave a {type(vectors).__name__}; expected a numpy array, float32 [{count}, {dim}]"
        )
    if vectors.shape != (count, dim):
        raise ValueError(f"the encoder gave vectors of shape {vectors.shape}, expected {(count, dim)}")
    finite.require(vectors, "the encoder", first)
    lengths = np.linalg.norm(np.asarray(vectors, np.float32), axis=1)
    wrong = np.flatnonzero((np.abs(lengths - 1) > OFF) & (lengths > 0))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"the encoder: row {first + row} has length {_rounded(lengths[row])}; expected 1; divide by its length"
        )


def _rounded(length: float) -> float:
    return float(f"{length:.3g}")


def _head(size: int, dim: int) -> bytes:
    """What a .npy file of these vectors begins with."""
    from io import BytesIO

    stream = BytesIO()
    head = {"descr": "<f4", "fortran_order": False, "shape": (size, dim)}
    np.lib.format.write_array_header_1_0(stream, head)
    return stream.getvalue()


def _done(path: Path, book: Path, head: bytes, part: int, label: str) -> list[Part]:
    """The parts that an earlier run finished and that are still intact; `part`: the bytes of all but the last."""
    if not book.exists():
        return []
    sound: list[Part] = []
    try:
        booked = [Part(*each) for each in json.loads(files.read_sealed(book))]
        with path.open("rb") as stream:
            if stream.read(len(head)) != head:
                raise ValueError("it was begun for other vectors")
            for number, each in enumerate(booked):
                if hashlib.sha256(stream.read(part)).hexdigest() != each.sha256:
                    raise ValueError(f"part {number + 1} of {len(booked)} was altered since it was written")
                sound.append(each)
    except (OSError, ValueError, TypeError) as problem:
        say(f"    unfinished embeddings {label}: {problem}; {len(sound)} sound parts are kept")
    return sound

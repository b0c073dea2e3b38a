"""Checks files of arrays for NaN and infinity, block by block: the store keeps none. Called by the store.

A FAISS index can't be checked: `baselines/faiss_index.py` checks the vectors that go in.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

AT_ONCE = 1 << 20  # numbers


class NotFinite(FloatingPointError):
    """A file holds what is no number."""


def require(vectors: np.ndarray, what: str, first: int = 0) -> None:
    """Raise where rows of [n, dim] hold NaN or infinity; `first` is where they stand among all."""
    with np.errstate(all="ignore"):
        if np.isfinite(vectors.sum(dtype=np.float64)):  # one pass, and no copy of them
            return
    rows = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(rows):
        all_of_them = len(rows) == len(vectors)
        raise ValueError(
            f"{what}: NaN or infinity in {len(rows)} of {len(vectors)} vectors, the first at position "
            f"{first + int(rows[0])}: {'whatever makes them is broken' if all_of_them else 'look at what stands there'}"
        )


def check(folder: Path) -> None:
    """All files of arrays below a folder."""
    for path in sorted(folder.rglob("*")):
        for name in _broken(path):
            raise NotFinite(f"{path.name}: {name or 'the array'} holds NaN or infinity")


def _broken(path: Path) -> Iterator[str]:
    """The names of arrays with NaN or infinity in them. What is no file of plain arrays isn't ours to judge."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as stored:  # numpy doesn't know bfloat16
                for name in stored.keys():  # noqa: SIM118  it is no mapping
                    tensor = stored.get_tensor(name)
                    if tensor.is_floating_point() and not _whole(tensor.flatten()):
                        yield name
        elif path.suffix in (".npy", ".npz"):
            found: Any = np.load(path, mmap_mode="r", allow_pickle=False)
            for name, array in [("", found)] if isinstance(found, np.ndarray) else found.items():
                if array.dtype.kind in "fc" and not _whole(array.ravel(order="K")):
                    yield name
    except (SafetensorError, ValueError, EOFError, zipfile.BadZipFile):
        return


def _whole(numbers: Any) -> bool:
    """Of a flat array of either library."""
    check: Any = np.isfinite if isinstance(numbers, np.ndarray) else type(numbers).isfinite
    return all(bool(check(numbers[start : start + AT_ONCE]).all()) for start in range(0, len(numbers), AT_ONCE))

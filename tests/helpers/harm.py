"""What tests do to files and disks, to see whether it is noticed."""

from __future__ import annotations

import pickle
import resource
from pathlib import Path
from typing import Any


def flip(path: Path, place: int | None = None) -> None:
    """One bit of a file, in its middle unless told where."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if place is None else place] ^= 1
    path.write_bytes(data)


def no_file_above(size: int) -> None:
    """For `preexec_fn`: the child writes no larger file, as on a disk that is nearly full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


class _Code:
    """Pickled, it makes whoever unpickles it create a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def poisoned(path: Path, trace: Path) -> None:
    """A file of weights that would run code, which leaves a trace."""
    import torch

    torch.save({"weight": torch.zeros(1), "code": _Code(trace)}, path, pickle_module=pickle)

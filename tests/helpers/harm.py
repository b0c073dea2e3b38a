"""What tests do to files and disks, to see whether it is noticed."""

from __future__ import annotations

import resource
from pathlib import Path


def flip(path: Path, place: int | None = None) -> None:
    """One bit of a file, in its middle unless told where."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if place is None else place] ^= 1
    path.write_bytes(data)


def no_file_above(size: int) -> None:
    """For `preexec_fn`: the child writes no larger file, as on a disk that is nearly full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

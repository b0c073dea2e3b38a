"""Room on the disk of the store: a full one ends the run at once, not one cell after the other after its training.

Called by the store before it builds an artifact and when that fails, and by the runner.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import traceback
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room, none left of a quota, a larger file than is allowed
# Libraries that write files themselves report it in words; numpy only reports how much was written.
NUMBERED = [f"os error {number}" for number in FULL]
MESSAGES = [*map(os.strerror, FULL[:2]), *NUMBERED, "requested and .* written", "disk is full"]
WORDS = re.compile("|".join(MESSAGES))
LEAST = 32_000_000  # what anything that is trained may need; less isn't worth beginning with


class NoRoom(BaseException):
    """Ends the run, as an interruption does, instead of failing a cell."""


def require(folder: Path, what: str, needs: int) -> None:
    """Raise `NoRoom` where so many bytes can't be written."""
    free = shutil.disk_usage(folder).free
    if free < max(needs, LEAST):
        raise NoRoom(f"make room: {folder} has {_size(free)} free, {what} needs about {_size(max(needs, LEAST))}")


def in_words(error: BaseException) -> str:
    """Its type and message; outside code may raise errors that fail even to print."""
    return "".join(traceback.format_exception_only(error)).strip()


def end_if_full(folder: Path, what: str, error: BaseException) -> None:
    """Raise `NoRoom` where this error, or what it came from, is a full disk."""
    cause: BaseException | None = error
    while cause is not None:
        if (isinstance(cause, OSError) and cause.errno in FULL) or WORDS.search(in_words(cause)):
            free = _size(shutil.disk_usage(folder).free)  # half-written files are gone by now
            raise NoRoom(f"make room: {folder} has {free} free, {what} needs more ({cause})") from error
        cause = cause.__cause__ or cause.__context__


def held(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"

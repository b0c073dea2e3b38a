"""The errors of media files, shared by decoders, workers and their callers."""

from __future__ import annotations

from typing import Literal

from harness.contract.problems import BadInput

# Why a file can't be used: it is broken; it isn't there; it can't be read; or its decoder was killed, which says
# nothing about the file.
Cause = Literal["broken", "missing", "unreadable", "stopped"]
CAUSES: dict[Cause, str] = {
    "missing": "are missing",
    "broken": "can't be decoded",
    "unreadable": "can't be read",
    "stopped": "ended their decoder, this time",
}


class Undecodable(Exception):
    """A file holds no image, sound or video that we can read whole; the message says why, without the file's name."""


class Stopped(Exception):
    """A decoder was ended by a signal, by its time limit or for lack of memory, which says nothing about the file."""


class BrokenFile(BadInput):
    """A file that was needed can't be decoded; the message names it."""


class TooManyBroken(BadInput):
    """More of a dataset's files are broken or missing than it allows."""


def described(error: Exception) -> tuple[str, Cause]:
    """The problem, without the file's name, and its cause."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "there is no such file", "missing"
    if isinstance(error, OSError):
        return error.strerror or str(error), "unreadable"
    return str(error), "stopped" if isinstance(error, Stopped) else "broken"

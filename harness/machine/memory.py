"""The peak of this process's memory, in all and while an artifact is built, where the system can reset its mark.

Called by the store, which books it with every artifact, and at the end of a run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

_highest = 0.0  # before the mark was last reset


class Peaked(Protocol):
    peak: float


class Memory:
    """`around`: the books of the work that this one is a part of, innermost last."""

    def __init__(self, around: Sequence[Peaked]) -> None:
        self.around = around
        if around:  # the work around this one loses its mark too: book what it has reached
            around[-1].peak = max(around[-1].peak, _memory("VmHWM") - _memory("VmRSS"))
        _trim()
        self.known = _reset_mark()
        self.start = _memory("VmRSS")

    def risen(self) -> float:
        return max(0.0, _memory("VmHWM") - self.start)

    def hand_back(self) -> None:
        if self.around:
            self.around[-1].peak = max(self.around[-1].peak, self.risen())
        _reset_mark()


def _trim() -> None:
    """Give freed memory back: reused, it would make what is built next seem to need almost none."""
    with suppress(OSError, AttributeError):  # other systems' libraries have no such call
        ctypes.CDLL(None).malloc_trim(0)


def highest() -> float:
    """MB: the most that this process ever held; 0 where the system doesn't say."""
    global _highest
    _highest = max(_highest, _memory("VmHWM"))
    return _highest


def _reset_mark() -> bool:
    highest()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _memory(field: str) -> float:
    """MB, from the system's own book of this process."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0.0)

"""The peak of this process's memory, where the system can reset its mark.

While an artifact is built: called by the store, which books it. While a contestant searches: called by the contest. In
all: called at the end of a run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

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


def in_use() -> dict[str, float]:
    """MB that this process holds now on host and device. What the system doesn't tell is left out."""
    _trim()
    resident, cuda = _memory("VmRSS"), _cuda()
    host = {"host": resident} if resident else {}
    return {**host, "device": cuda.memory_allocated() / 2**20} if cuda else host


def reset_peak() -> bool:
    """From now on `peak` is of what comes; whether it can be had on the host."""
    if cuda := _cuda():
        cuda.reset_peak_memory_stats()
    return _reset_mark()


def peak(known: bool) -> dict[str, float]:
    """MB at most since `reset_peak`, which says whether it is `known`."""
    cuda = _cuda()
    host = {"host": _memory("VmHWM")} if known else {}
    return {**host, "device": cuda.max_memory_allocated() / 2**20} if cuda else host


def _cuda() -> Any:
    from harness.machine import compute

    if compute.current().device != "cuda":
        return None
    import torch

    return torch.cuda


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

"""A wish to stop that nobody swallows: raised inside a library's callback an exception is lost, so we remember it."""

from __future__ import annotations

import signal
from typing import Any

_wished = False


def listen() -> None:
    """From now on Ctrl-C and a polite kill raise KeyboardInterrupt, and `heed` raises it again if it was lost."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _wish)


def heed() -> None:
    if _wished:
        raise KeyboardInterrupt


def _wish(number: int, frame: Any) -> None:
    global _wished
    _wished = True
    raise KeyboardInterrupt

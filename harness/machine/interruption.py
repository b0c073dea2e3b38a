"""A wish to stop that nobody swallows: raised inside a library's callback an exception is lost, so we remember it."""

from __future__ import annotations

import signal
from typing import Any

from harness.machine.disk import NoRoom

_listening = False
_wished = False


def listen() -> None:
    """From now on Ctrl-C and a polite kill raise KeyboardInterrupt, and `heed` raises it again if it was lost."""
    global _listening
    _listening = True
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _wish)


def heed() -> None:
    if _wished:
        raise KeyboardInterrupt


def let_pass(error: BaseException) -> None:
    """Raise what ends the run again: a wish to stop, a full disk. Anything else, `sys.exit` too, fails a cell alone.

    To be called first in `except BaseException` around code of contestants.
    """
    heed()
    if isinstance(error, NoRoom) or (isinstance(error, KeyboardInterrupt) and not _listening):  # then it is the user's
        raise error


def _wish(number: int, frame: Any) -> None:
    global _wished
    _wished = True
    raise KeyboardInterrupt

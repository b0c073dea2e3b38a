"""Ctrl-C that no library can swallow: an exception raised inside its callback may be lost, so it is remembered here."""

from __future__ import annotations

import signal
from typing import Any

from harness.machine.disk import NoRoom

_listening = False
_stopping = False


def listen() -> None:
    """From now on SIGINT and SIGTERM raise KeyboardInterrupt, and `heed` raises it again if it was lost."""
    global _listening
    _listening = True
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def heed() -> None:
    if _stopping:
        raise KeyboardInterrupt


def let_pass(error: BaseException) -> None:
    """Raise again what ends the run: an interruption, a full disk. Anything else, `sys.exit` too, fails a cell alone.

    To be called first in `except BaseException` around code of contestants.
    """
    heed()
    if isinstance(error, NoRoom) or (isinstance(error, KeyboardInterrupt) and not _listening):  # then it is the user's
        raise error


def _stop(number: int, frame: Any) -> None:
    global _stopping
    _stopping = True
    raise KeyboardInterrupt

"""A wish to stop that was swallowed is heeded at the next step."""

from __future__ import annotations

import os
import signal

import pytest

from harness.machine import interruption
from harness.machine.progress import track


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch):
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(interruption, "_stopping", False)
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_swallowed_wish_ends_the_next_loop(number: signal.Signals) -> None:
    interruption.listen()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    done: list[int] = []  # whoever caught it goes on as if nothing had been
    with pytest.raises(KeyboardInterrupt):
        done.extend(track(range(3), "on and on"))
    assert done == []


def test_without_a_wish_all_goes_on() -> None:
    interruption.heed()
    assert list(track(range(3), "steps")) == [0, 1, 2]

"""Progress of long work: bars on a terminal, lines of text elsewhere.

Code that works long writes `for step in track(range(steps), "training")`; the command line decides where it shows.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, Protocol, TextIO, TypeVar

from harness.machine.escaping import line, terminal
from harness.machine.interruption import heed

T = TypeVar("T")


class Reporter(Protocol):
    def say(self, text: str) -> None:
        """One line that stays."""

    def follow(self, label: str, total: int | None) -> Any:
        """A context manager; what it gives is called as `(done, note)`."""


class Silent:
    """Says nothing: tests, libraries, `--quiet`."""

    def say(self, text: str) -> None:
        pass

    @contextmanager
    def follow(self, label: str, total: int | None) -> Iterator[Callable[[int, str], None]]:
        yield lambda done, note: None


class Plain:
    """A line now and then: logs, CI, pipes."""

    def __init__(self, stream: TextIO | None = None, every: float = 5.0) -> None:
        self.stream = stream  # None: standard error, whatever that is by the time a line is said
        self.every = every

    def say(self, text: str) -> None:
        stream = self.stream or sys.stderr
        stream.write(text + "\n")
        stream.flush()

    @contextmanager
    def follow(self, label: str, total: int | None) -> Iterator[Callable[[int, str], None]]:
        begun = said = time.monotonic()

        def update(done: int, note: str) -> None:
            nonlocal said
            now = time.monotonic()
            if now - said >= self.every and done:
                said = now
                left = f" of {total}, {(now - begun) / done * (total - done):.0f} s left" if total else ""
                self.say(f"    {label}: {done}{left}{'  ' + note if note else ''}")

        yield update


class Live:
    """Bars that move and vanish when they are done, on a terminal."""

    def __init__(self, colour: bool = True) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = Console(stderr=True, no_color=not colour, highlight=False, emoji=False)
        self.bars = Progress(
            TextColumn("    {task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self.console,
            transient=True,
        )
        self.depth = 0

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    @contextmanager
    def follow(self, label: str, total: int | None) -> Iterator[Callable[[int, str], None]]:
        if not self.depth:
            self.bars.start()
        self.depth += 1
        task = self.bars.add_task(label, total=total, note="")
        try:
            yield lambda done, note: self.bars.update(task, completed=done, note=note)
        finally:
            self.bars.remove_task(task)
            self.depth -= 1
            if not self.depth:
                self.bars.stop()


_reporter: Reporter = Silent()


def use(reporter: Reporter) -> None:
    global _reporter
    _reporter = reporter


def choose(quiet: bool = False) -> Reporter:
    """The reporter that fits where standard error goes."""
    if quiet:
        return Silent()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return Live(colour="NO_COLOR" not in os.environ)
    return Plain()


def say(text: str) -> None:
    _reporter.say(terminal(text))


def track(
    steps: Iterable[T], label: str, total: int | None = None, note: Callable[[], str] | None = None
) -> Iterator[T]:
    """Pass the steps through and show how far they are; `note` is asked for a word beside the bar."""
    if total is None and isinstance(steps, Sized):
        total = len(steps)
    with _reporter.follow(line(label), total) as update:
        for done, step in enumerate(steps):
            heed()
            update(done, line(note()) if note else "")
            yield step

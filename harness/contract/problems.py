"""What is wrong with a file, all of it in one message: where, what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.machine.escaping import line

MOST_PROBLEMS = 100  # in one message
MOST_WORDS = 300  # among which a misspelt one is looked for
TRACEBACK = "Traceback (most recent call last):"


class Problem(NamedTuple):
    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        return line(f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}")


class BadInput(Exception):
    """A file or a command says what can't be; the message says all there is to say, so that no traceback is needed."""


class SuiteError(BadInput):
    """All problems of one file, one a line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


class Problems:
    """Collects what is wrong with one file, each thing once."""

    def __init__(self, file: str | Path) -> None:
        self.file = str(file)
        self._found: dict[Problem, None] = {}

    def add(self, line: int | None, message: str) -> None:
        self._found[Problem(self.file, line, message)] = None
        if len(self._found) == MOST_PROBLEMS:
            self._found[Problem(self.file, None, f"{MOST_PROBLEMS} problems so far: there may be more")] = None
            self.raise_if_any()

    def raise_if_any(self) -> None:
        if self._found:
            raise SuiteError(sorted(self._found, key=lambda problem: problem.line or 0))

    def fail(self, line: int | None, message: str) -> SuiteError:
        """For what ends the reading: the error to raise, with all that was found before."""
        self.add(line, message)
        return SuiteError(sorted(self._found, key=lambda problem: problem.line or 0))


def some(names: Sequence[Any], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def shown(path: str | Path) -> str:
    """A path; in quotes where a name in it begins or ends with a space, which nobody would see."""
    return repr(str(path)) if any(name != name.strip() for name in str(path).split("/")) else str(path)


def last_line(text: str) -> str:
    """In short what went wrong: of a traceback the line on which its exception begins, else the last line."""
    text = text.strip()
    if not text.startswith(TRACEBACK):
        return text.rpartition("\n")[2]
    below = text.rpartition(TRACEBACK)[2].split("\n")
    begins = next((number for number, line in enumerate(below) if line[:1].strip()), len(below) - 1)
    first, more = below[begins].strip(), [line.strip() for line in below[begins + 1 :] if line.strip()]
    return f"{first} {more[0]}" if first.endswith(":") and more else first


def meant(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: which of the known words was probably meant, if any."""
    known = list(itertools.islice(known, MOST_WORDS))
    close = difflib.get_close_matches(word.lower()[:100], [name.lower() for name in known], 1, 0.6)
    return next((f" (did you mean '{name}'?)" for name in known if close and name.lower() == close[0]), "")

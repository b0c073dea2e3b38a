"""Which kinds there are: ours, and those of installed packages.

A new retriever, dataset or instrument is one file and one entry in `harness/kinds`. Another package joins through entry
points `harness.retrievers`, `harness.datasets`, `harness.encoders` or `harness.captioners`, each naming an `Entry`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from harness.contract.entry import REQUIRED, SECTIONS, Argument, Entry, Section
from harness.machine import interruption
from harness.suite.kinds.captioners import CAPTIONERS
from harness.suite.kinds.datasets import DATASETS
from harness.suite.kinds.encoders import ENCODERS
from harness.suite.kinds.retrievers import RETRIEVERS

__all__ = ["REQUIRED", "SECTIONS", "Argument", "Entry", "Section", "kinds"]

OUR_OWN: dict[Section, list[Entry]] = {
    "retrievers": RETRIEVERS,
    "datasets": DATASETS,
    "encoders": ENCODERS,
    "captioners": CAPTIONERS,
}


@cache
def kinds(section: Section) -> Mapping[str, Entry]:
    """Every kind of a section by name: ours first, then those of installed packages, which can't replace ours."""
    return Kinds(section)


class Kinds(Mapping[str, Entry]):
    """Another package's entry is loaded when its kind is asked for: one that hangs harms only suites that name it."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.entries = {entry.kind: entry for entry in OUR_OWN[section]}
        self.points = {point.name: point for point in reversed(list(entry_points(group=f"harness.{section}")))}

    def __getitem__(self, kind: str) -> Entry:
        if kind not in self.entries:
            self.entries[kind] = _outside(self.section, self.points[kind])
        return self.entries[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self.entries or kind in self.points

    def __iter__(self) -> Iterator[str]:
        return iter(list({**self.entries, **self.points}))

    def __len__(self) -> int:
        return len(self.entries.keys() | self.points.keys())


def _outside(section: Section, point: Any) -> Entry:
    """The entry that a package announces; one that can't be loaded says so when it is used."""
    try:
        entry = point.load()
    except BaseException as error:  # a broken package must not break `list` or other people's suites
        interruption.let_pass(error)
        return Entry(point.name, "", about=f"entry point harness.{section}: {point.value} can't be loaded: {error!r}")
    problem = ""
    if not isinstance(entry, Entry):
        problem = f"is no harness.contract.Entry but {type(entry).__name__}"
    elif not isinstance(entry.arguments, Mapping) or not all(
        isinstance(argument, Argument) for argument in entry.arguments.values()
    ):
        problem = "has arguments that aren't a mapping to harness.contract.Argument"
    if problem:
        return Entry(point.name, "", about=f"entry point harness.{section}: {point.value} {problem}")
    return replace(entry, kind=point.name, foreign=True)  # the name that suites know it by

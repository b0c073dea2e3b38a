"""Which kinds there are. All of them join by entry points, this repository's (pyproject.toml) as other packages':
`harness.retrievers`, `harness.datasets`, `harness.encoders` and `harness.captioners`, each naming an `Entry`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from harness.contract.entry import SECTIONS, Entry, Section
from harness.contract.problems import BadInput
from harness.contract.settings import Settings
from harness.machine import interruption

__all__ = ["OURS", "SECTIONS", "Entry", "Section", "kinds"]

OURS = ("harness", "baselines", "cart")  # these have a version of their own: `Entry.version`


@cache
def kinds(section: Section) -> Mapping[str, Entry]:
    """Every kind of a section by name: ours first, then those of other packages, which can't replace ours."""
    return Kinds(section)


class Kinds(Mapping[str, Entry]):
    """An entry is loaded when its kind is asked for: a package that hangs harms only suites that name its kinds."""

    def __init__(self, section: Section) -> None:
        points = list(entry_points(group=f"harness.{section}"))
        self.section = section
        self.ours = [point.name for point in points if _ours(point)]
        theirs = [point for point in reversed(points) if not _ours(point)]
        self.points = {point.name: point for point in [*theirs, *filter(_ours, points)]}
        self.entries: dict[str, Entry] = {}
        if not self.ours:
            raise BadInput(
                "this checkout is not installed, or was before it had its present kinds, so that none of them is "
                "known; run `make setup`, or `python -m pip install -e .` in it"
            )

    def __getitem__(self, kind: str) -> Entry:
        if kind not in self.entries:
            self.entries[kind] = _loaded(self.section, self.points[kind])
        return self.entries[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self.entries or kind in self.points

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self.ours, *self.points, *self.entries]))

    def __len__(self) -> int:
        return len(self.entries.keys() | self.points.keys())


def offering(section: Section, what: str) -> list[str]:
    """The kinds of ours that offer it: others aren't loaded for a message."""
    known = Kinds(section)
    return [kind for kind in known.ours if what in (known[kind].offers or ())]


def _ours(point: EntryPoint) -> bool:
    return point.value.partition(":")[0].partition(".")[0] in OURS


def _loaded(section: Section, point: EntryPoint) -> Entry:
    """The entry that a package announces; one that can't be loaded says so when it is used."""
    where = f"entry point harness.{section}: {point.value}"
    try:
        entry = point.load()
    except BaseException as error:  # a broken package must not break `list` or other people's suites
        interruption.let_pass(error)
        return Entry("", about=f"{where} can't be loaded: {error!r}", offers=None, kind=point.name)
    problem = ""
    if not isinstance(entry, Entry):
        problem = f"is no harness.contract.Entry but {type(entry).__name__}"
    elif not (isinstance(entry.settings, type) and issubclass(entry.settings, Settings)):
        problem = "has settings that are no subclass of harness.contract.Settings"
    if problem:
        return Entry("", about=f"{where} {problem}", offers=None, kind=point.name)
    return replace(entry, kind=point.name, foreign=not _ours(point))  # the name that suites know it by

"""`python -m harness report RUN [RUN …]`: each run's folder made again, and all of them shown side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.contract.problems import BadInput
from harness.report import cutoffs, show, write
from harness.results.rows import Row
from harness.store.record import Record
from harness.store.run_folder import RunFolder


def remake(places: Sequence[Path], pairs: bool = False) -> None:
    folders = [RunFolder(place) for place in places]
    read = [folder.records() for folder in folders]
    for folder, records in zip(folders, read, strict=True):
        if not records:
            raise BadInput(f"{folder.root}: no sound record in it; run the suite again")
    rows: list[Row] = []
    verdict: list[str] = []
    abouts: list[str] = []
    several = len(folders) > 1
    for name, folder, records in zip(names(places), folders, read, strict=True):
        found, said = write(folder, records[0]["suite"], records, pairs=pairs)
        about = str(folder.journal().get("about", ""))
        rows += [replace(row, run=name) if several else row for row in found]
        verdict += [f"{name}: {each}" if several else each for each in said]
        abouts += [f"{name}: {about}" if several else about] if about else []
    every: list[Record] = [record for records in read for record in records]
    show(rows, cutoffs(every), None, about=" ".join(abouts), verdict=verdict)


def names(places: Sequence[Path]) -> list[str]:
    """The last part of each path, or all of it where two end alike."""
    short = [place.resolve().name for place in places]
    return [name if short.count(name) == 1 else str(place) for name, place in zip(short, places, strict=True)]

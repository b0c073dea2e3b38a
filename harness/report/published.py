"""What others report for the datasets of a run, in a table of its own: never in one with what was measured.

The figures with their sources are data: published.yaml beside this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.machine import files
from harness.machine.escaping import row
from harness.store.record import Record
from harness.store.run_folder import RunFolder

FILE = Path(__file__).with_name("published.yaml")
HEADINGS = ("dataset", "method", "paradigm", "R@1", "R@5", "R@10", "MRR@10", "queries/s", "setting", "source")
WARNING = (
    "Published: copied from the sources named, each under its authors' own conditions and on their own machine. "
    "Nothing here was measured by this harness."
)


@dataclass(frozen=True)
class Figure:
    """One line of a published table; percent, as printed there."""

    dataset: str  # a kind of the registry
    method: str
    source: str
    recall: tuple[float | None, float | None, float | None]  # at 1, 5, 10
    paradigm: str = ""
    mrr: float | None = None
    rate: float | None = None
    setting: str = ""
    checkpoints: tuple[str, ...] = ()  # the very weights: hub ids, and open_clip's architecture and tag
    items: int | None = None  # candidates, where it is of such weights

    @property
    def cells(self) -> list[str]:
        numbers = ["–" if number is None else f"{number:g}" for number in (*self.recall, self.mrr, self.rate)]
        return [self.dataset, self.method, self.paradigm or "–", *numbers, self.setting, self.source]


@cache
def figures() -> tuple[Figure, ...]:
    import yaml

    published: Any = yaml.safe_load(FILE.read_text())
    sources = {
        name: source["title"] + (", through secondary notes" if source.get("through") == "notes" else "")
        for name, source in published["sources"].items()
    }
    return tuple(
        Figure(
            dataset,
            **{**each, "source": sources[each["source"]]}
            | {key: tuple(each.get(key, ())) for key in ("recall", "checkpoints")},
        )
        for dataset, lines in published["figures"].items()
        for each in lines
    )


def of(records: Sequence[Record]) -> list[Figure]:
    """Those for datasets whose test split these records ask in text."""
    asked = {each["config"]["dataset"].get("kind") for each in records if "/test/text-" in each["task"]}
    return [figure for figure in figures() if figure.dataset in asked]


def markdown(found: Sequence[Figure]) -> str:
    lines = ["# Published figures, not measured here", "", WARNING, ""]
    lines += [row(list(HEADINGS)), "|" + "---|" * len(HEADINGS)]
    lines += [row(figure.cells) for figure in found]
    return "\n".join([*lines, ""])


def write(folder: RunFolder, records: Sequence[Record]) -> Path | None:
    """In a file of its own; None where nothing is published for the datasets of this run."""
    path, found = folder.root / "tables" / "published.md", of(records)
    if not found:
        path.unlink(missing_ok=True)
        return None
    files.write(path, markdown(found).encode())
    return path

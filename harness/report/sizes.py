"""How many bytes each contestant holds, and from how many candidates on fewer than the suite's first dual tower.

What grows with the gallery is seldom all: a codebook, a decoder and a text side are there at any size. So a contestant
with few bytes an item may need more than one with many, in a gallery that is small enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.machine.escaping import row as table_row
from harness.report.words import quantity, size
from harness.results.rows import Row, by_task
from harness.score.scoring import blind

WEIGHT = 4  # bytes of a parameter
FOOT = (
    "An item: what grows with the gallery, for each candidate. Fixed: what the index holds at any size (codebooks, "
    "centroids), and the weights of all models that the contestant has, at four bytes each; a plain dual tower has "
    "both of its towers, and those that several share count with each. Smaller from: the number of candidates at which "
    "both hold as many bytes."
)


@dataclass(frozen=True)
class Held:
    row: Row
    item: float  # bytes a candidate
    index: float  # fixed
    models: float  # fixed
    count: int  # candidates

    @property
    def fixed(self) -> float:
        return self.index + self.models

    @property
    def total(self) -> float:
        return self.item * self.count + self.fixed

    def smaller_from(self, other: Held) -> str:
        """The size of the gallery from which on this one holds fewer bytes than the other."""
        item, fixed = self.item - other.item, self.fixed - other.fixed
        if item >= 0 and fixed >= 0:
            return "–"
        if item <= 0 and fixed <= 0:
            return "any size"
        return f"{'up to ' if item > 0 else ''}{quantity(-fixed / item)}"


def held(row: Row) -> Held | None:
    growing, parameters = row.mean("cost", "index_bytes"), row.mean("cost", "parameters")
    data = row.records[0]["data"] if row.records else None
    if row.status != "ok" or growing is None or parameters is None or not data or any(map(blind, row.records)):
        return None
    constant = row.mean("cost", "constant_bytes") or 0.0
    return Held(row, growing / max(1, data["items"]), constant, WEIGHT * parameters, data["items"])


def markdown(rows: Sequence[Row]) -> str:
    """A table for each task; empty where none has a dual tower to compare with."""
    lines: list[str] = []
    for task, group in by_task(rows).items():
        found = [each for each in map(held, group) if each is not None]
        towers = [each for each in found if each.row.paradigm == "dual-tower"]
        if len(found) < 2 or not towers:
            continue
        usual = towers[0]
        head = ["retriever", "paradigm", "an item", "fixed: index", "fixed: models", f"of {usual.count:,}"]
        lines += ["", f"## {task}", "", table_row([*head, f"smaller than {usual.row.retriever} from"])]
        lines += ["|---|---|" + "---:|" * 5]
        for each in found:
            sizes = [size(part) for part in (each.item, each.index, each.models, each.total)]
            than = "" if each is usual else each.smaller_from(usual)
            lines.append(table_row([each.row.retriever, each.row.paradigm, *sizes, than]))
    return "\n".join(["# Bytes", *lines, "", FOOT, ""]) if lines else ""

"""What each contestant keeps of the one it starts from: a student of its teacher, codes of their vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.machine.escaping import row as table_row
from harness.report.paired import DEEPER, METRIC, Hits, Right, hits, points
from harness.report.words import percent
from harness.results.rows import Row, by_task
from harness.score import statistics
from harness.store.run_folder import RunFolder

HEAD = ("retriever", "starts from", "hit@1 %", "hit@10 %", "hit@1, share %", "hit@1, points", "hit@10, share %")
FOOT = (
    "Share: of what the retriever finds that it starts from, on the same queries, with its 95 % interval, the shares "
    "that a test does not reject, clustered by item. Points: the first minus the second."
)
INSTRUMENTS = ("encoder", "captioner")


@dataclass(frozen=True)
class Kept:
    row: Row
    start: Row
    share: statistics.Interval  # of the start's hit@1
    points: statistics.Difference
    deeper: statistics.Interval | None  # of its hit@10, where both rankings are so deep


def kept(folder: RunFolder, rows: Sequence[Row]) -> dict[str, list[Kept]]:
    """By task, of those whose start took part."""
    found: dict[str, list[Kept]] = {}
    for task, group in by_task(rows).items():
        fine = [each for each in group if each.status == "ok" and not each.folds]
        pairs = [(row, start) for row in fine for start in fine if _starts_from(row, start)]
        if pairs:
            right = Right.read(folder, task)
            named = {each.retriever: each for pair in pairs for each in pair}
            read = {name: hits(folder, each, right) for name, each in named.items()}
            found[task] = [
                each
                for row, start in pairs
                for each in _kept(row, start, read[row.retriever], read[start.retriever], right.cluster)
            ]
    return {task: members for task, members in found.items() if members}


def _starts_from(row: Row, start: Row) -> bool:
    """Whether the start has the settings that stand inside the row's, and the instruments that they are used with."""
    mine, its = (each.records[0]["config"] for each in (row, start))
    inside: Any = (mine.get("retriever") or {}).get("start")
    if not inside:
        return False
    settings = {key: value for key, value in (its.get("retriever") or {}).items() if key != "queries"}
    own = {name: inside[name] for name in INSTRUMENTS if name in inside and name not in settings}
    used = {**mine, **own}  # its own, or else those of the row
    return inside == {**settings, **own} and all(used.get(name) == its[name] for name in INSTRUMENTS if name in its)


def _kept(row: Row, start: Row, mine: Hits, its: Hits, cluster: np.ndarray) -> Iterator[Kept]:
    both = mine.beside(its)
    if both is None or not both.pair(METRIC)[1].any():
        return
    items = cluster[both.asked]
    deeper = both.pair(DEEPER) if both.deep else None
    yield Kept(
        row,
        start,
        statistics.ratio_interval(*both.pair(METRIC), items),
        both.difference(METRIC, cluster),
        statistics.ratio_interval(*deeper, items) if deeper else None,
    )


def markdown(found: dict[str, list[Kept]]) -> str:
    lines = ["# What is kept of a start", ""]
    for task, members in found.items():
        lines += [f"## {task}", "", table_row(list(HEAD)), "|---|---|" + "---:|" * (len(HEAD) - 2)]
        lines += [table_row(_cells(each)) for each in members]
        lines.append("")
    return "\n".join([*lines, FOOT, ""])


def _cells(each: Kept) -> list[str]:
    shown = [percent(each.row.metrics.get(name)) for name in (METRIC, DEEPER)]
    names = [each.row.retriever, each.start.retriever]
    return [*names, *shown, _share(each.share), points(each.points), _share(each.deeper)]


def _share(found: statistics.Interval | None) -> str:
    if found is None:
        return "–"
    value, low, high = (100 * each for each in found)
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"

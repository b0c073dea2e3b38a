"""What each contestant keeps of the one it starts from: a student of its teacher, codes of their vectors."""

from __future__ import annotations

import json
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
    "Share: of what the retriever finds that it starts from, on the same queries, with its 95 % interval, items "
    "resampled. Points: the first minus the second."
)


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
        fine = {_config(each): each for each in group if each.status == "ok" and not each.folds}
        pairs = [(row, start) for row in fine.values() if (start := fine.get(_start(row))) is not None]
        if pairs:
            right = Right.read(folder, task)
            read = {each.retriever: hits(folder, each, right) for pair in pairs for each in pair}
            found[task] = [
                each
                for row, start in pairs
                for each in _kept(row, start, read[row.retriever], read[start.retriever], right.cluster)
            ]
    return {task: members for task, members in found.items() if members}


def _config(row: Row) -> str:
    return _key(row.records[0]["config"].get("retriever"))


def _start(row: Row) -> str:
    config: Any = row.records[0]["config"].get("retriever")
    return _key(config.get("start")) if config else ""


def _key(config: Any) -> str:
    return json.dumps(config, sort_keys=True) if config else ""


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

"""What each part of a system is worth: the full one, and the same with one change at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.machine import escaping
from harness.report.columns import index_size, rate
from harness.report.paired import Pair, odds, pairs_with, points
from harness.report.words import percent, quantity
from harness.results.rows import Row, by_task
from harness.score import statistics
from harness.store.run_folder import RunFolder

METRICS = ("hit@1", "hit@10", "mrr@10")
FOOT = (
    "Points: what the change finds minus what the full system finds, on the same queries, with its 95 % interval; p of "
    "hit@1 by the same test, McNemar's clustered by item (from three seeds on Student's t, over seeds and "
    "items), after Holm's correction over the changes of this system at this task."
)


@dataclass(frozen=True)
class Line:
    """A system in an ablation; the full one has no difference."""

    task: str
    full: str
    row: Row
    against: Pair | None
    p: float | None  # after Holm

    @property
    def name(self) -> str:
        return self.row.retriever.removeprefix(f"{self.full}-") if self.against else self.full


def ablations(folder: RunFolder, rows: Sequence[Row]) -> list[Line]:
    """Of all full systems that the suite named, at all tasks."""
    together: Mapping[str, Sequence[str]] = folder.journal().get("ablation") or {}
    return [
        line
        for task, group in by_task(rows).items()
        for full, changes in together.items()
        for line in _lines(folder, task, full, changes, {row.retriever: row for row in group if row.status == "ok"})
    ]


def _lines(folder: RunFolder, task: str, full: str, changes: Sequence[str], known: Mapping[str, Row]) -> Iterator[Line]:
    if full not in known:
        return
    yield Line(task, full, known[full], None, None)
    found = pairs_with(folder, known[full], [known[name] for name in changes if name in known])
    holm = statistics.holm([pair.difference.p for pair in found])
    for pair, p in zip(found, holm, strict=True):
        yield Line(task, full, known[pair.first], pair, p)


def markdown(found: Sequence[Line]) -> str:
    lines = ["# Ablations"]
    places = dict.fromkeys((line.task, line.full) for line in found)
    for task, full in places:
        head = [
            "system",
            *(f"{name} %" for name in METRICS),
            "hit@1, points",
            "p",
            "hit@10, points",
            "queries/s",
            "index s",
            "index",
        ]
        lines += ["", f"## {escaping.markdown(full)}, {escaping.markdown(task)}", "", escaping.row(head)]
        lines.append("|---|" + "---|" * (len(head) - 1))
        lines += [escaping.row(_cells(line)) for line in found if (line.task, line.full) == (task, full)]
    return "\n".join([*lines, "", FOOT, ""])


def _cells(line: Line) -> list[str]:
    row = line.row
    return [
        line.name,
        *(percent(row.metrics.get(name)) for name in METRICS),
        points(line.against.difference) if line.against else "",
        "" if line.p is None else odds(line.p),
        points(line.against.deeper) if line.against else "",
        rate(row),
        quantity(row.mean("cost", "index_s")),
        index_size(row),
    ]


def comma_separated(found: Sequence[Line]) -> str:
    """Plain numbers, for programs."""
    text = io.StringIO()
    head = ["task", "full", "system", *METRICS, "difference", "low", "high", "p after Holm", "qps", "index_s"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for line in found:
        metrics = [(line.row.metrics.get(name) or {"value": None})["value"] for name in METRICS]
        difference = list(line.against.difference[:3]) if line.against else [None] * 3
        qps, seconds = line.row.mean("speed", "offline", "qps", "median"), line.row.mean("cost", "index_s")
        values = [line.task, line.full, line.name, *metrics, *difference, line.p, qps, seconds]
        writer.writerow([escaping.csv(value) for value in values])
    return text.getvalue()

"""Recall against rate: a point a contestant, bars for the uncertainty of both, and a line of the best at each rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.report import axes, points, scatter, style
from harness.report.points import Point
from harness.report.words import percent
from harness.results.rows import Row


def recall_against_rate(rows: Sequence[Row], folder: Path) -> list[Path]:
    """SVG and PNG in `folder`; none where only controls that see nothing were measured."""
    return scatter.drawn(_groups(rows), _panel, folder, "recall-rate", points_of, "best at a rate", least=2.6)


def alt(rows: Sequence[Row]) -> str:
    def said(group: Sequence[Row]) -> str:
        best, quick = points.best_first(group)[0], points.fastest(group)
        found = f"{best.retriever} finds most, {percent(best.metrics['hit@1'])} % at {points.rate_words(best)}"
        if best is quick:
            return f"{found}, and is the fastest of {len(group)}"
        quickest = f"{quick.retriever} is the fastest of {len(group)}, {points.rate_words(quick)}"
        return f"{found}; {quickest} at {percent(quick.metrics['hit@1'])} %"

    return "hit@1 against queries a second, a point a contestant. " + points.briefly(_groups(rows), said)


def _groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    timed = {task: [row for row in group if points.speed(row)] for task, group in points.contestants(rows).items()}
    return {task: group for task, group in timed.items() if group}


def points_of(group: Sequence[Row]) -> list[Point]:
    return points.merged([points.point(row, rate) for row in group if (rate := points.speed(row))])


def joined(group: Sequence[Row]) -> list[list[Row]]:
    """The variants of each retriever; those that were asked other queries get a line of their own."""
    found: dict[tuple[str, int | None], list[Row]] = {}
    for row in group:
        found.setdefault((row.retriever.split("@")[0], row.asked), []).append(row)
    return list(found.values())


def _panel(panel: Any, task: str, group: list[Row]) -> style.Finish:
    data = points.data_of(group)
    shown = points_of(group)
    at = {name: (each.x.value, each.y.value) for each in shown for name in each.names}
    lines = [sorted({at[row.retriever] for row in rows}) for rows in joined(group)]
    finish = scatter.scatter(panel, shown, data, [line for line in lines if len(line) > 1])
    panel.set_xlabel("queries per second, query in to ids out (log)")
    panel.set_ylabel("hit@1, %")
    axes.headed(panel, task, data)
    return finish

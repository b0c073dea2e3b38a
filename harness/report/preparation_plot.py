"""What preparing cost against what is found: training and indexing, every artifact counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.report import axes, points, scatter, style
from harness.report.points import Point, Span
from harness.report.words import quantity
from harness.results.rows import Row

CLOSE = 0.02  # costs that differ by less are drawn as one
LEAST = 3  # points that make a plot
APART = 1.1  # and so many times the least cost the greatest, at least


def found_against_preparation(rows: Sequence[Row], folder: Path) -> list[Path]:
    return scatter.drawn(_groups(rows), _panel, folder, "preparation", points_of, "best for a cost", least=2.4)


def alt(rows: Sequence[Row]) -> str:
    def said(group: Sequence[Row]) -> str:
        order = sorted(group, key=_cost)
        ends = [f"{row.retriever} in {quantity(_cost(row))} s" for row in (order[0], order[-1])]
        return f"cheapest {ends[0]}, dearest {ends[1]}; {points.best_first(group)[0].retriever} finds most"

    return "hit@1 against seconds of preparation. " + points.briefly(_groups(rows), said)


def _groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    priced = {task: [row for row in group if _cost(row)] for task, group in points.contestants(rows).items()}
    return {task: group for task, group in priced.items() if len(group) >= LEAST and _differ(list(map(_cost, group)))}


def _differ(costs: Sequence[float]) -> bool:
    return max(costs) > APART * min(costs)


def _cost(row: Row) -> float:
    return (row.mean("cost", "fit_s") or 0.0) + (row.mean("cost", "index_s") or 0.0)


def points_of(group: Sequence[Row]) -> list[Point]:
    return points.merged([_point(row, _cost(row)) for row in group])


def _point(row: Row, cost: float) -> Point:
    spent = [quantity(row.mean("cost", name)) for name in ("fit_s", "index_s")]
    words = f"{points.told(row)}, fit {spent[0]} s, index {spent[1]} s"
    return points.point(row, Span(cost, cost * (1 - CLOSE / 2), cost * (1 + CLOSE / 2)), words)


def _panel(panel: Any, task: str, group: list[Row]) -> style.Finish:
    data = points.data_of(group)
    finish = scatter.scatter(panel, points_of(group), data, more=False)
    panel.set_xlabel("seconds to fit and index, every artifact counted (log)")
    panel.set_ylabel("hit@1, %")
    axes.headed(panel, task, data)
    return finish

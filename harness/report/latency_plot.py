"""Latency of one query at a time: p50, p95 and p99 of each contestant on one logarithmic line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.report import axes, points, style
from harness.report.words import quantity
from harness.results.rows import Row

PERCENTILES = ("p50_ms", "p95_ms", "p99_ms")


def latencies(rows: Sequence[Row], folder: Path) -> list[Path]:
    groups = _groups(rows)
    return style.drawn(
        groups,
        _panel,
        folder,
        "latency",
        height=lambda group: axes.tall(len(group)),
        paradigms={row.paradigm for group in groups.values() for row in group},
        keys=_keys(),
    )


def alt(rows: Sequence[Row]) -> str:
    def said(group: Sequence[Row]) -> str:
        ends = (group[0], group[-1]) if len(group) > 1 else group
        return ", ".join(
            f"{row.retriever} p50 {quantity(_ms(row)[0])} ms, p99 {quantity(_ms(row)[2])} ms" for row in ends
        )

    told = "Latency one query at a time, from the lowest to the highest median. "
    return told + points.briefly(_groups(rows), said)


def _ms(row: Row) -> list[float]:
    """All three, or none."""
    found = [row.mean("speed", "single", name) for name in PERCENTILES]
    return [each for each in found if each] if all(found) else []


def _groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    timed = {task: [row for row in group if _ms(row)] for task, group in points.contestants(rows).items()}
    return {task: sorted(group, key=lambda row: _ms(row)[0]) for task, group in timed.items() if group}


def _keys() -> list[Any]:
    from matplotlib.lines import Line2D

    grey = style.FAINT
    return [
        Line2D([], [], linestyle="", marker="o", markersize=6.5, color=grey, label="p50"),
        Line2D([], [], linestyle="", marker="o", markerfacecolor="white", markeredgecolor=grey, label="p95"),
        Line2D([], [], linestyle="", marker="|", markersize=9, markeredgewidth=1.6, color=grey, label="p99"),
    ]


def _panel(panel: Any, task: str, group: list[Row]) -> None:
    axes.listed(panel, [row.retriever for row in group], [row.paradigm for row in group])
    for place, row in enumerate(group):
        tone, ms = style.colour(row.paradigm), _ms(row)
        panel.plot((ms[0], ms[-1]), (place, place), color=tone, linewidth=1.2, alpha=0.6, zorder=2)
        looks: tuple[dict[str, Any], ...] = (
            {"marker": "o", "markersize": 6.5},
            {"marker": "o", "markersize": 5.5, "markerfacecolor": "white", "markeredgewidth": 1.3},
            {"marker": "|", "markersize": 9, "markeredgewidth": 1.6},
        )
        for name, value, look in reversed(list(zip(PERCENTILES, ms, looks, strict=True))):
            (mark,) = panel.plot([value], [place], linestyle="", color=tone, zorder=3, **look)
            style.hover(mark, f"{points.named(row)}: {name[:3]} {quantity(value)} ms")
        axes.beside(panel, place, " / ".join(map(quantity, ms)))
    axes.logarithmic(panel.xaxis, *axes.around([each for row in group for each in _ms(row)], room=0.05))
    panel.set_xlabel("ms from query to ids, one query at a time (log); at the right p50 / p95 / p99")
    axes.headed(panel, task, points.data_of(group), recall=False)

"""hit@1 of each contestant at each task, side by side, for runs with more than one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.report import axes, points, style
from harness.report.words import percent
from harness.results.rows import Row

ACROSS = 3  # tasks side by side


def found_by_task(rows: Sequence[Row], folder: Path) -> list[Path]:
    groups = points.contestants(rows)
    if len(groups) < 2:
        return []
    tasks = list(groups)
    across = min(ACROSS, len(tasks))
    blocks = [tasks[start : start + across] for start in range(0, len(tasks), across)]
    drawn = {"\n".join(block): {task: groups[task] for task in block} for block in blocks}
    paradigms = {row.paradigm for group in groups.values() for row in group}
    return style.drawn(
        drawn,
        _panels,
        folder,
        "tasks",
        height=lambda block: axes.tall(len(_order(block))),
        across=across,
        paradigms=paradigms,
    )


def alt(rows: Sequence[Row]) -> str:
    def said(group: Sequence[Row]) -> str:
        return ", ".join(f"{row.retriever} {percent(row.metrics['hit@1'])}" for row in points.best_first(group)[:3])

    return "hit@1 of each contestant at each task, bars. " + points.briefly(points.contestants(rows), said)


def _order(block: Mapping[str, Sequence[Row]]) -> dict[str, str]:
    """Every contestant of these tasks and its paradigm: the best at the first task first."""
    found: dict[str, str] = {}
    for group in block.values():
        for row in points.best_first(group):
            found.setdefault(row.retriever, row.paradigm)
    return found


def _panels(panels: list[Any], title: str, block: Mapping[str, list[Row]]) -> None:
    order = _order(block)
    most = max(span.high for group in block.values() for row in group if (span := points.found(row)))
    places = {name: place for place, name in enumerate(order)}
    for panel in panels[len(block) :]:
        panel.set_axis_off()
    for number, (panel, (task, group)) in enumerate(zip(panels, block.items(), strict=False)):
        axes.listed(panel, list(order), list(order.values()))
        if number:
            panel.tick_params(labelleft=False)
        for row in group:
            _bar(panel, places[row.retriever], row)
        panel.set_xlim(0, most * 1.22)
        panel.set_xlabel("hit@1, %")
        dataset, _, rest = task.partition("/")
        panel.set_title("\n".join(style.shortened(part, 26) for part in (dataset, rest) if part), fontsize=9, pad=8)


def _bar(panel: Any, place: int, row: Row) -> None:
    span = points.found(row)
    assert span is not None
    tone = style.colour(row.paradigm)
    (bar,) = panel.barh(
        [place], [span.value], height=0.66, color=style.toned(tone, 0.75 if row.asked is None else 0.35)
    )
    style.hover(bar, points.told(row))
    panel.plot(span[1:], (place, place), color=style.toned(tone, 1.5), linewidth=1.2, solid_capstyle="butt")
    panel.annotate(
        f"{span.value:.1f}",
        (span.high, place),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        color=style.INK,
    )

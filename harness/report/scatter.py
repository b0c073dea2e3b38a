"""Points of contestants with names beside them, error bars, and the step line of the best: what is found against a
rate or a cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.report import axes, labels, style
from harness.report.points import Point
from harness.results.rows import Row

EDGE = "#8a8a8a"


def drawn(
    groups: Mapping[str, list[Row]],
    panel_of: Callable[[Any, str, list[Row]], style.Finish],
    folder: Path,
    name: str,
    points_of: Callable[[Sequence[Row]], list[Point]],
    edge: str,
    least: float,
) -> list[Path]:
    """A row of points for each task, higher where there are more of them; `edge`: what the step line is."""
    shown = [row for group in groups.values() for row in group]
    fewer = [fewer_key()] if any(row.asked is not None for row in shown) else []
    return style.drawn(
        groups,
        panel_of,
        folder,
        name,
        height=lambda group: min(5.5, least + 0.09 * len(points_of(group))),
        paradigms={row.paradigm for row in shown},
        keys=[*fewer, edge_key(edge)],
    )


def scatter(
    panel: Any,
    points: Sequence[Point],
    data: Any,
    lines: Sequence[Sequence[tuple[float, float]]] = (),
    more: bool = True,
) -> style.Finish:
    """Zoomed to the points, x logarithmic. `lines` join variants of one contestant.

    `more`: a larger x is better, and has bars; otherwise it is a cost, whose ends only say what is the same.
    """
    low, high = axes.around([end for each in points for end in each.x], room=0.1)
    axes.logarithmic(panel.xaxis, low, high)
    panel.set_ylim(*axes.zoomed([end for each in points for end in each.y]))
    bottom, top = panel.get_ylim()
    levels = [
        axes.level(panel, height, f"{name} {height:.3g} %", ":" if name == "chance" else "--")
        for name, height in axes.levels(data).items()
        if bottom < height < top
    ]
    spread = labels.at_ends(panel, levels)
    steps = frontier(points, more)
    steps = [(low if more else high, steps[0][1]), *steps, (steps[-1][0], bottom)]
    panel.plot(*zip(*steps, strict=True), color=EDGE, linewidth=1.1, zorder=1.5)
    drawn: list[Any] = [tuple(zip(*steps, strict=True)), *(((low, high), (each.y, each.y)) for each in levels)]
    for line in lines:
        panel.plot(*zip(*line, strict=True), color=EDGE, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1.6)
    for each in points:
        drawn += mark(panel, each, more)
    tags = [labels.Label(each.x.value, each.y.value, each.label, style.colour(each.paradigm)) for each in points]

    def finish() -> None:
        spread()
        kept = labels.at_points(panel, tags, drawn)
        if len(kept) < len(tags):
            axes.cornered(panel, f"{len(tags) - len(kept)} more without room for a name")

    return finish


def mark(panel: Any, each: Point, both: bool = True) -> list[Any]:
    """The marker and its bars, the lying one only with `both`; returns where the bars are."""
    colour = style.colour(each.paradigm)
    x, y = each.x.value, each.y.value
    bars = [((x, x), each.y[1:]), *([(each.x[1:], (y, y))] if both else [])]
    for place in bars:
        panel.plot(*place, color=colour, linewidth=1.0, alpha=0.55, zorder=2, solid_capstyle="butt")
    (dot,) = panel.plot(
        [x],
        [y],
        style.marker(each.paradigm),
        color=colour,
        markersize=7 if len(each.names) == 1 else 8.5,
        markeredgecolor="white",
        markeredgewidth=0.7,
        markerfacecolor=colour if each.asked is None else "white",
        zorder=4,
    )
    if each.asked is not None:
        dot.set_markeredgecolor(colour)
        dot.set_markeredgewidth(1.4)
    style.hover(dot, each.words)
    return bars


def frontier(points: Sequence[Point], more: bool = True) -> list[tuple[float, float]]:
    """Corners of the step line: the most that is found at a rate or above it (`more`), at a cost or below it."""
    found: list[tuple[float, float]] = []
    best = float("-inf")
    for each in sorted(points, key=lambda each: (-each.x.value if more else each.x.value, -each.y.value)):
        if each.y.value > best:
            if found:
                found.append((each.x.value, best))
            best = each.y.value
            found.append((each.x.value, best))
    return found[::-1]


def edge_key(text: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=EDGE, linewidth=1.1, label=text)


def fewer_key() -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], linestyle="", marker="o", markerfacecolor="white", markeredgecolor=EDGE, label="fewer queries"
    )

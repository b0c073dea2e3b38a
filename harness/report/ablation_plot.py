"""What each change of a system is worth: paired differences in hit@1 with their intervals, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.report import axes, points, style
from harness.report.ablation import Line
from harness.report.paired import odds
from harness.report.paired import points as in_points

SURE = 0.05


def differences(found: Sequence[Line], folder: Path) -> list[Path]:
    groups = _groups(found)
    return style.drawn(
        groups,
        _panel,
        folder,
        "ablation",
        height=lambda group: axes.tall(len(group) - 1),
        paradigms={line.row.paradigm for group in groups.values() for line in group[1:]},
        keys=_keys(),
    )


def alt(found: Sequence[Line]) -> str:
    said = []
    for (task, full), group in _places(found).items():
        ends = (group[1], group[-1]) if len(group) > 2 else group[1:]
        words = ", ".join(f"{line.name} {in_points(line.against.difference)}" for line in ends if line.against)
        said.append(f"{full} at {task}: {words}.")
    return "Differences in hit@1 from the full system, in points, the largest gain first. " + " ".join(said[:3])


def _places(found: Sequence[Line]) -> dict[tuple[str, str], list[Line]]:
    """By task and full system: the full one, then its changes, those that find more first."""
    places: dict[tuple[str, str], list[Line]] = {}
    for line in found:
        places.setdefault((line.task, line.full), []).append(line)
    return {place: sorted(group, key=_order) for place, group in places.items() if len(group) > 1}


def _order(line: Line) -> float:
    return -line.against.difference.value if line.against else float("-inf")


def _groups(found: Sequence[Line]) -> dict[str, list[Line]]:
    return {f"{full}, {task}": group for (task, full), group in _places(found).items()}


def _keys() -> list[Any]:
    from matplotlib.lines import Line2D

    grey = style.FAINT
    return [
        Line2D([], [], linestyle="", marker="o", color=grey, label=f"p < {SURE:g} after Holm"),
        Line2D([], [], linestyle="", marker="o", markerfacecolor="white", markeredgecolor=grey, label="not sure"),
    ]


def _panel(panel: Any, title: str, group: list[Line]) -> None:
    full, changes = group[0].row, group[1:]
    axes.listed(panel, [line.name for line in changes], [line.row.paradigm for line in changes])
    panel.axvline(0.0, color="#777777", linewidth=1.0, zorder=1.5)
    for place, line in enumerate(changes):
        assert line.against is not None and line.p is not None
        value, low, high = (100 * each for each in line.against.difference[:3])
        tone = style.colour(line.row.paradigm)
        panel.plot((low, high), (place, place), color=tone, linewidth=1.4, zorder=2, solid_capstyle="butt")
        (mark,) = panel.plot([value], [place], style.marker(line.row.paradigm), color=tone, markersize=6.5, zorder=3)
        if line.p >= SURE:
            mark.set_markerfacecolor("white")
        words = in_points(line.against.difference)
        style.hover(mark, f"{line.row.retriever}: {words} points of hit@1, p {odds(line.p)} after Holm")
        axes.beside(panel, place, words)
    found = points.found(full)
    base = f" ({found.value:.1f} %)" if found else ""
    panel.set_xlabel(f"points of hit@1 beside {style.shortened(full.retriever)}{base}, 95 % intervals")
    panel.margins(x=0.04)
    axes.headed(panel, title, points.data_of([full]), recall=False)

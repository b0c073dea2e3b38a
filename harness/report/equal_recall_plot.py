"""What each setting finds and how fast, both as shares of exact search's: a line a contestant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.report import axes, labels, points, style
from harness.report.equal_recall import TARGETS, Family, Setting
from harness.report.points import Point, Span
from harness.report.scaling import times
from harness.report.scatter import fewer_key, mark
from harness.score.rates import interval


def recall_against_speedup(families: Mapping[str, Sequence[Family]], folder: Path) -> list[Path]:
    kept = {task: [each for each in members if each.compared] for task, members in families.items()}
    found = {task: members for task, members in kept.items() if members}
    if not found:
        return []
    paradigms = {family.paradigm for members in found.values() for family in members}
    fewer = any(each.row.asked is not None for members in found.values() for one in members for each in one.compared)
    return style.drawn(
        found,
        _panel,
        folder,
        "equal-recall",
        height=lambda members: min(5.5, 2.6 + 0.09 * sum(len(each.compared) for each in members)),
        paradigms=paradigms,
        keys=[fewer_key()] if fewer else [],
    )


def alt(found: Mapping[str, Sequence[Family]]) -> str:
    said = []
    for task, members in found.items():
        best = [(setting, family) for family in members if (setting := family.fastest(TARGETS[-1]))]
        if best:
            setting, family = max(best, key=lambda each: float(each[0].logs[0]))
            share = f"{100 * TARGETS[-1]:g} % of what exact search finds"
            said.append(f"{task}: at {share}, {family.name} ({setting.name}) is {times(setting.logs)} times as fast.")
    return "What settings find and how fast, as shares of exact search's. " + " ".join(said[:3])


def _panel(panel: Any, task: str, members: Sequence[Family]) -> style.Finish:
    shown = points.merged([_point(each, family) for family in members for each in family.compared])
    at = {name: (each.x.value, each.y.value) for each in shown for name in each.names}
    low, high = axes.around([1.0, *(end for each in shown for end in each.x)], room=0.1)
    axes.logarithmic(panel.xaxis, low, high)
    panel.set_ylim(*_limits([100.0, *(end for each in shown for end in each.y)]))
    bottom, top = panel.get_ylim()
    levels = [axes.level(panel, 100.0, "exact search", "-")]
    levels += [axes.level(panel, 100 * each, f"{100 * each:g} % of it", ":") for each in TARGETS if 100 * each > bottom]
    panel.axvline(1.0, color="#9a9a9a", linewidth=0.9, zorder=1)
    ink: list[Any] = [((1.0, 1.0), (bottom, top)), *(((low, high), (each.y, each.y)) for each in levels)]
    spread = labels.at_ends(panel, levels)
    for family in members:
        line = sorted({at[each.row.retriever] for each in family.compared})
        if len(line) > 1:
            panel.plot(*zip(*line, strict=True), color=style.colour(family.paradigm), linewidth=1.2, alpha=0.7)
            ink.append(tuple(zip(*line, strict=True)))
    for each in shown:
        ink += mark(panel, each)
    panel.set_xlabel("times exact search's queries per second (log)")
    panel.set_ylabel("share of exact search's hit@1, %")
    data = points.data_of([members[0].compared[0].row])
    axes.headed(panel, task, data, "shares on the half of items not chosen on", recall=False)
    tags = [labels.Label(each.x.value, each.y.value, each.label, style.colour(each.paradigm)) for each in shown]

    def finish() -> None:
        spread()
        labels.at_points(panel, tags, ink)

    return finish


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Shares may exceed 100."""
    low, high = min(values), max(values)
    room = 0.07 * max(high - low, 5.0)
    return max(-1.0, low - room), high + room


def _point(each: Setting, family: Family) -> Point:
    """One setting: its speed and what it finds on the other half, both beside exact search."""
    rate = Span(*(float(np.exp(end)) for end in (each.logs[0], *interval(each.logs[1:]))))
    share = Span(*(100 * end for end in each.other))
    words = (
        f"{each.row.retriever} ({family.paradigm}): {share.value:.1f} % [{share.low:.1f}, {share.high:.1f}] of exact"
    )
    words += f" search's hit@1, {times(each.logs)} times its queries/s"
    return Point(rate, share, family.paradigm, each.row.asked, (each.row.retriever,), words)

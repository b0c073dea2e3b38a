"""Rate against the size of the gallery: a line a retriever, dotted where it is extrapolated; crossovers marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from harness.machine import escaping
from harness.report import axes, labels, style
from harness.report.scaling import Series, last_crossover, sentences

DASHES = ("-", (0, (5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))  # dots are for what is extrapolated


def rate_against_size(found: Mapping[str, Sequence[Series]], folder: Path) -> list[Path]:
    if not found:
        return []
    return style.drawn(
        found,
        _panel,
        folder,
        "scaling",
        height=lambda group: max(3.4, 0.8 + 0.2 * len(group)),
        paradigms={each.paradigm for group in found.values() for each in group},
        keys=_keys(
            any(not rate.measured for group in found.values() for each in group for rate in each.rates.values())
        ),
    )


def alt(found: Mapping[str, Sequence[Series]]) -> str:
    said = [f"{task}: {'; '.join(told[:4])}." for task, group in found.items() if (told := sentences(group))]
    return "Queries a second against the number of candidates, a line a contestant. " + " ".join(said[:3])


def _keys(extrapolated: bool) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    dots = [Line2D([], [], color="#777777", linestyle=":", label="extrapolated")] if extrapolated else []
    return [*dots, Patch(color="#888888", alpha=0.2, label="one overtakes another (95 %)")]


def _panel(panel: Any, task: str, group: Sequence[Series]) -> style.Finish:
    met: dict[str, int] = {}
    tags = []
    for each in group:
        tone = style.colour(each.paradigm)
        turn = met[each.paradigm] = met.get(each.paradigm, -1) + 1
        measured = {size: rate for size, rate in each.rates.items() if rate.measured}
        values = [rate.value for rate in measured.values()]
        panel.plot(list(measured), values, linestyle=DASHES[turn % len(DASHES)], color=tone, linewidth=1.4)
        for size, rate in measured.items():
            panel.plot((size, size), (rate.low, rate.high), color=tone, linewidth=1.2, alpha=0.6)
            (mark,) = panel.plot([size], [rate.value], style.marker(each.paradigm), color=tone, markersize=6)
            if turn % 2:
                mark.set_markerfacecolor("white")
            style.hover(mark, f"{each.retriever} ({each.paradigm}): {rate.words} queries/s, {size:,} candidates")
        beyond = {size: rate.value for size, rate in each.rates.items() if not rate.measured}
        last = list(measured)[-1]
        if beyond:
            panel.plot([last, *beyond], [values[-1], *beyond.values()], linestyle=":", color=tone, linewidth=1.4)
        end = list(each.rates)[-1]
        tags.append(labels.Label(end, each.rates[end].value, style.shortened(each.retriever, 30), tone))
    for axis, ends in (
        (panel.xaxis, [size for each in group for size in each.rates]),
        (panel.yaxis, [end for each in group for rate in each.rates.values() for end in rate[:3] if end > 0]),
    ):
        axes.logarithmic(axis, *axes.around(ends, room=0.05))
    crossed = _crossovers(panel, group)
    panel.set_xlabel("candidates (log)")
    panel.set_ylabel("queries per second, query in to ids out (log)")
    data: Any = next(iter(group[0].rows.values())).records[0]["data"]
    axes.headed(panel, task, {**data, "items": None}, recall=False)
    spread = labels.at_ends(panel, tags)

    def finish() -> None:
        spread()
        _name_crossovers(panel, crossed)

    return finish


def _crossovers(panel: Any, group: Sequence[Series]) -> list[tuple[float, str]]:
    """Bands of the sizes at which one paradigm overtakes another; returns their middles and names."""
    found = []
    low, high = panel.get_xlim()
    for one, other in combinations(group, 2):
        crossing = last_crossover(one, other) if one.paradigm != other.paradigm else None
        if crossing:
            band = panel.axvspan(max(low, crossing.low), min(high, crossing.high), color="#888888", alpha=0.1, lw=0)
            style.hover(band, crossing.words)
            panel.axvline(crossing.at, color="#888888", linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
            found.append((crossing.at, escaping.plot(f"{crossing.second} > {crossing.first}")))
    return sorted(found)


def _name_crossovers(panel: Any, crossed: Sequence[tuple[float, str]]) -> None:
    """Upright beside their lines, moved apart where they are close."""

    if not crossed:
        return
    frame = panel.get_window_extent()
    places = panel.transData.transform([(at, 1.0) for at, _ in crossed])[:, 0]
    gap = 7.5 * 1.3 * panel.figure.dpi / 72
    places = places - 0.7 * gap  # to the left of its line
    for (_, text), place in zip(crossed, labels.apart(places, gap, (frame.x0 + gap, frame.x1 - gap)), strict=True):
        panel.text(
            (place - frame.x0) / frame.width,
            0.015,
            text,
            transform=panel.transAxes,
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=7.5,
            color=style.FAINT,
            zorder=1.2,
        )

"""Rate against the size of the gallery: a line a retriever, dotted where it is extrapolated; crossovers marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from harness.machine import escaping
from harness.report.plots import COLOURS, MARKERS, drawn, framed, plainly
from harness.report.scaling import Series, last_crossover


def rate_against_size(found: Mapping[str, Sequence[Series]], folder: Path) -> list[Path]:
    return drawn(found, _panel, folder, "scaling") if found else []


def _panel(panel: Any, task: str, group: Sequence[Series]) -> None:
    for number, each in enumerate(group):
        measured = {size: rate for size, rate in each.rates.items() if rate.measured}
        colour = COLOURS.get(each.paradigm, "#555555")
        values = [rate.value for rate in measured.values()]
        panel.errorbar(
            list(measured),
            values,
            yerr=[
                [rate.value - rate.low for rate in measured.values()],
                [rate.high - rate.value for rate in measured.values()],
            ],
            fmt=MARKERS[number % len(MARKERS)] + "-",
            color=colour,
            markerfacecolor="white" if number % 2 else None,
            markersize=6,
            linewidth=1.4,
            elinewidth=1,
            capsize=2,
            label=escaping.plot(f"{each.retriever} ({each.paradigm})"),
        )
        beyond = {size: rate.value for size, rate in each.rates.items() if not rate.measured}
        if beyond:
            sizes, rates = [list(measured)[-1], *beyond], [values[-1], *beyond.values()]
            panel.plot(sizes, rates, linestyle=":", color=colour, linewidth=1.4, label="extrapolated")
    for one, other in combinations(group, 2):
        crossing = last_crossover(one, other) if one.paradigm != other.paradigm else None
        if crossing:
            panel.axvspan(crossing.low, crossing.high, color="#888888", alpha=0.12, linewidth=0)
            panel.annotate(
                escaping.plot(f"{crossing.second} > {crossing.first}"),
                (crossing.at, 0.02),
                xycoords=("data", "axes fraction"),
                rotation=90,
                ha="center",
                va="bottom",
                fontsize=7,
                color="#666666",
            )
    panel.set_xscale("log")
    panel.set_yscale("log")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(plainly)
        axis.set_minor_formatter(lambda value, place: "")
    panel.set_xlabel("candidates (log)")
    panel.set_ylabel("queries per second, query in to ids out (log)")
    data: Any = next(iter(group[0].rows.values())).records[0]["data"]
    framed(panel, task, data, grid="both")

"""What each setting finds and how fast, both as shares of exact search's: a line a contestant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.machine import escaping
from harness.report.equal_recall import TARGETS, Family
from harness.report.plots import COLOURS, MARKERS, drawn, framed, level_line, plainly
from harness.score.rates import interval


def recall_against_speedup(found: Mapping[str, Sequence[Family]], folder: Path) -> list[Path]:
    return drawn(found, _panel, folder, "equal-recall") if found else []


def _panel(panel: Any, task: str, members: Sequence[Family]) -> None:
    for number, family in enumerate(members):
        settings = sorted(family.settings, key=lambda each: float(each.logs[0]))
        ratios = [float(np.exp(each.logs[0])) for each in settings]
        ends = np.exp([interval(each.logs[1:]) for each in settings])
        shares = np.array([each.other for each in settings]) * 100
        panel.errorbar(
            ratios,
            shares[:, 0],
            xerr=np.abs(ends.T - ratios),
            yerr=np.abs(shares[:, 1:].T - shares[:, 0]),
            fmt=MARKERS[number % len(MARKERS)] + "-",
            color=COLOURS.get(family.paradigm, "#555555"),
            markerfacecolor="white" if number % 2 else None,
            markersize=6,
            linewidth=1,
            elinewidth=0.8,
            alpha=0.85,
            label=escaping.plot(f"{family.name} ({family.paradigm})"),
        )
    for target in TARGETS:
        level_line(panel, 100 * target, f"{100 * target:g} %", ":")
    panel.axhline(100, color="#888888", linestyle="--", linewidth=0.8)  # exact search
    panel.axvline(1.0, color="#888888", linestyle="--", linewidth=0.8)
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(plainly)
    panel.xaxis.set_minor_formatter(lambda value, place: "")
    panel.set_xlabel("times exact search's queries per second (log)")
    panel.set_ylabel("hit@1 as a share of exact search's, other half, %")
    data: Any = members[0].settings[0].row.records[0]["data"]
    framed(panel, task, data)

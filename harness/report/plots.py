"""Recall against rate: one panel a task, a point a retriever, bars for the uncertainty of both."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import files
from harness.report.tables import Row, by_task

COLOURS = {"single-tower": "#c1553b", "dual-tower": "#2f6db3", "generative": "#3a8f4d", "hybrid": "#8a5aa8"}
MARKERS = {"single-tower": "s", "dual-tower": "o", "generative": "D", "hybrid": "^"}


def recall_against_rate(all_rows: Sequence[Row], folder: Path) -> list[Path]:
    """SVG and PNG in `folder`; nothing where nothing but controls was measured."""
    groups = {
        task: [row for row in group if row.paradigm != "control" and _point(row)]
        for task, group in by_task(all_rows).items()
    }
    groups = {task: group for task, group in groups.items() if group}
    if not groups:
        return []
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "recall"  # the same numbers give the same file
    across = min(3, len(groups))
    down = -(-len(groups) // across)
    figure = Figure(figsize=(6.4 * across, 4.6 * down), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, squeeze=False)
    for panel in panels.flat[len(groups) :]:
        panel.set_axis_off()
    for panel, (task, group) in zip(panels.flat, groups.items(), strict=False):
        _panel(panel, task, group)
    written = []
    for kind in ("svg", "png"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {})
        path = folder / f"recall-rate.{kind}"
        files.write(path, buffer.getvalue())
        written.append(path)
    return written


def _point(row: Row) -> bool:
    return row.status == "ok" and row.mean("speed", "offline", "qps", "median") is not None and "hit@1" in row.metrics


def _panel(panel: Any, task: str, group: list[Row]) -> None:
    places = []
    for row in group:
        metric = row.metrics["hit@1"]
        value, low, high = (100 * (number or 0.0) for number in (metric["value"], metric["low"], metric["high"]))
        rate, slow, fast = (row.mean("speed", "offline", "qps", name) or 0.0 for name in ("median", "q25", "q75"))
        panel.errorbar(
            rate,
            value,
            yerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
            xerr=[[max(0.0, rate - slow)], [max(0.0, fast - rate)]],
            fmt=MARKERS.get(row.paradigm, "o"),
            color=COLOURS.get(row.paradigm, "#555555"),
            markersize=6,
            elinewidth=1,
            capsize=2,
        )
        places.append((rate, value, row.retriever))
    data: Any = group[0].records[0]["data"]
    if data["ceiling"] is not None:
        panel.axhline(100 * data["ceiling"], color="#888888", linestyle="--", linewidth=1)
        panel.annotate("ceiling", (1.0, 100 * data["ceiling"]), xycoords=("axes fraction", "data"), **_small("right"))
    chance = 100 * min(data["chance"].values())
    panel.axhline(chance, color="#888888", linestyle=":", linewidth=1)
    panel.annotate("chance", (1.0, chance), xycoords=("axes fraction", "data"), **_small("right"))
    panel.set_xscale("log")
    panel.set_ylim(0, 100)
    panel.margins(x=0.25)
    panel.set_xlabel("queries per second, query in to ids out (log)")
    panel.set_ylabel("hit@1, %")
    panel.set_title(task + (" (generated data)" if data["generated"] else ""), fontsize=10)
    panel.grid(alpha=0.25)
    _names(panel, places)
    _legend(panel, group)


def _small(side: str) -> dict[str, Any]:
    return {"xytext": (-3, 3), "textcoords": "offset points", "ha": side, "fontsize": 8, "color": "#666666"}


def _names(panel: Any, places: list[tuple[float, float, str]]) -> None:
    """Names in a column beside the points, pushed apart so that none covers another."""
    gap, last = 5.0, -100.0
    for rate, value, name in sorted(places, key=lambda place: place[1]):
        height = max(value, last + gap)
        last = height
        panel.annotate(
            name,
            (rate, value),
            xytext=(0.02, height / 100),
            textcoords="axes fraction",
            fontsize=8,
            va="center",
            arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "linewidth": 0.6},
        )


def _legend(panel: Any, group: list[Row]) -> None:
    from matplotlib.lines import Line2D

    paradigms = dict.fromkeys(row.paradigm for row in group)
    handles = [
        Line2D([], [], color=COLOURS.get(name, "#555555"), marker=MARKERS.get(name, "o"), linestyle="", label=name)
        for name in paradigms
    ]
    panel.legend(handles=handles, fontsize=8, loc="lower right")

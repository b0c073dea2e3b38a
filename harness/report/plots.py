"""Recall against rate: one panel a task, a point a retriever, bars for the uncertainty of both.

A colour a paradigm, a marker a retriever; variants of one retriever are joined by a line.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.machine import escaping, files
from harness.results.rows import Row, by_task
from harness.score.scoring import blind

COLOURS = {"single-tower": "#c1553b", "dual-tower": "#2f6db3", "generative": "#3a8f4d", "hybrid": "#8a5aa8"}
MARKERS = "osD^vP*X<>hp"


def recall_against_rate(all_rows: Sequence[Row], folder: Path) -> list[Path]:
    """SVG and PNG in `folder`; none where only controls that see nothing were measured."""
    groups = {
        task: [row for row in group if _point(row) and not blind(row.records[0])]
        for task, group in by_task(all_rows).items()
    }
    groups = {task: group for task, group in groups.items() if group}
    if not groups:
        return []
    return drawn(groups, _panel, folder, "recall-rate")


def drawn(groups: Mapping[str, Any], panel_of: Callable[[Any, str, Any], None], folder: Path, name: str) -> list[Path]:
    """A figure with a panel for each group, as SVG and PNG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "recall"  # the same numbers give the same file
    mpl.rcParams["text.parse_math"] = False  # a dollar in a name is a dollar
    across = min(2, len(groups))
    down = -(-len(groups) // across)
    figure = Figure(figsize=(7.2 * across, 4.6 * down), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, squeeze=False)
    for panel in panels.flat[len(groups) :]:
        panel.set_axis_off()
    for panel, (task, group) in zip(panels.flat, groups.items(), strict=False):
        panel_of(panel, task, group)
    written = []
    for kind in ("svg", "png"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {})
        path = folder / f"{name}.{kind}"
        files.write(path, buffer.getvalue())
        written.append(path)
    return written


def _point(row: Row) -> bool:
    return row.status == "ok" and row.mean("speed", "offline", "qps", "median") is not None and "hit@1" in row.metrics


def _panel(panel: Any, task: str, group: list[Row]) -> None:
    rates = []
    for number, row in enumerate(group):
        metric = row.metrics["hit@1"]
        value, low, high = (100 * (number or 0.0) for number in (metric["value"], metric["low"], metric["high"]))
        rate, slow, fast = (row.mean("speed", "offline", "qps", name) or 0.0 for name in ("median", "q25", "q75"))
        rates.append(rate)
        asked = "" if row.asked is None else f", {row.asked:,} queries"
        panel.errorbar(
            rate,
            value,
            yerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
            xerr=[[max(0.0, rate - slow)], [max(0.0, fast - rate)]],
            fmt=MARKERS[number % len(MARKERS)],
            color=COLOURS.get(row.paradigm, "#555555"),
            markerfacecolor="white" if number >= len(MARKERS) else None,
            markersize=7,
            elinewidth=1,
            capsize=2,
            alpha=0.85,
            label=escaping.plot(f"{row.retriever} ({row.paradigm}{asked})"),
        )
    _variants(panel, group)
    data: Any = group[0].records[0]["data"]
    _lines(panel, data)
    panel.set_xscale("log")
    panel.set_xlim(min(rates) / 3, max(rates) * 3)  # room for the labels, and small differences stay small
    panel.set_ylim(0, 100)
    panel.xaxis.set_major_formatter(plainly)
    panel.xaxis.set_minor_formatter(lambda value, place: "")
    panel.set_xlabel("queries per second, query in to ids out (log)")
    panel.set_ylabel("hit@1, %")
    framed(panel, task, data, grid="both")


def framed(panel: Any, title: str, data: Any, grid: str = "major") -> None:
    """What every panel has: a title that says what is generated, a grid, the legend beside it."""
    panel.set_title(escaping.plot(title) + (" (generated data)" if data["generated"] else ""), fontsize=10)
    panel.grid(alpha=0.25, which=grid)
    panel.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def plainly(value: float, place: Any) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def joined(group: Sequence[Row]) -> list[list[Row]]:
    """The variants of each retriever; those that were asked other queries get a line of their own."""
    found: dict[tuple[str, int | None], list[Row]] = {}
    for row in group:
        found.setdefault((row.retriever.split("@")[0], row.asked), []).append(row)
    return list(found.values())


def _variants(panel: Any, group: list[Row]) -> None:
    """A line through the variants of one retriever: its trade-off."""
    for rows in joined(group):
        points = sorted((row.mean("speed", "offline", "qps", "median"), row.metrics["hit@1"]["value"]) for row in rows)
        if len(points) > 1:
            rates, values = zip(*points, strict=True)
            colour = COLOURS.get(rows[0].paradigm, "#555555")
            panel.plot(rates, [100 * (value or 0.0) for value in values], color=colour, linewidth=0.8, alpha=0.5)


def _lines(panel: Any, data: Any) -> None:
    """The ceiling and the chance level."""
    levels = [("chance", min(data["chance"].values()), ":")]
    if data["ceiling"] is not None:
        levels.append(("ceiling", data["ceiling"], "--"))
    for name, level, style in levels:
        level_line(panel, 100 * level, f"{name} {100 * level:.3g} %", style)


def level_line(panel: Any, height: float, text: str, style: str) -> None:
    panel.axhline(height, color="#888888", linestyle=style, linewidth=1)
    panel.annotate(
        text,
        (1.0, height),
        xycoords=("axes fraction", "data"),
        xytext=(-3, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color="#666666",
    )

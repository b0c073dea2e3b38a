"""Beam width against what is found and how fast, for retrievers that differ in nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.report import axes, labels, points, style
from harness.report.recall_k_plot import DASHES
from harness.report.words import percent
from harness.results.rows import Row

LEAST = 2  # widths that make a line


def found_against_beams(rows: Sequence[Row], folder: Path) -> list[Path]:
    groups = beams(rows)
    paradigms = {row.paradigm for lines in groups.values() for line in lines.values() for row in line.values()}
    return style.drawn(groups, _panels, folder, "beams", height=lambda group: 2.3, across=2, paradigms=paradigms)


def alt(rows: Sequence[Row]) -> str:
    said = []
    for task, lines in beams(rows).items():
        for name, line in lines.items():
            ends = [
                f"{percent(row.metrics['hit@1'])} % and {points.rate_words(row)} with {width:g} beams"
                for width, row in (min(line.items(), key=_width), max(line.items(), key=_width))
            ]
            said.append(f"{name} at {task}: {', '.join(ends)}.")
    return "hit@1 and queries a second against the number of beams. " + " ".join(said[:3])


def _width(item: tuple[float, Row]) -> float:
    return item[0]


def beams(rows: Sequence[Row]) -> dict[str, dict[str, dict[float, Row]]]:
    """By task and contestant: its rows by the width of its beam, ascending."""
    found: dict[str, dict[str, dict[float, Row]]] = {}
    for task, group in points.contestants(rows).items():
        alike: dict[str, dict[float, Row]] = {}
        for row in group:
            config: Mapping[str, Any] = row.records[0]["config"].get("retriever") or {}
            width = config.get("beams")
            if isinstance(width, int | float) and not isinstance(width, bool) and points.speed(row):
                rest = {key: value for key, value in config.items() if key != "beams"}
                alike.setdefault(json.dumps([rest, row.asked], sort_keys=True), {}).setdefault(width, row)
        lines = {_name(line): dict(sorted(line.items())) for line in alike.values() if len(line) >= LEAST}
        if lines:
            found[task] = lines
    return found


def _name(line: Mapping[float, Row]) -> str:
    return next(iter(line.values())).retriever.partition("@")[0]


def _panels(panels: list[Any], task: str, lines: Mapping[str, Mapping[float, Row]]) -> style.Finish:
    tags: tuple[list[labels.Label], list[labels.Label]] = ([], [])
    spread: tuple[list[float], list[float]] = ([], [])
    for turn, (name, line) in enumerate(lines.items()):
        widths, rows = list(line), list(line.values())
        tone, mark = style.colour(rows[0].paradigm), style.marker(rows[0].paradigm)
        dash = DASHES[turn % len(DASHES)]
        spans = (
            [span for row in rows if (span := points.found(row))],
            [span for row in rows if (span := points.speed(row))],
        )
        for panel, each, tag, ends in zip(panels, spans, tags, spread, strict=True):
            panel.fill_between(widths, *zip(*(span[1:] for span in each), strict=True), color=tone, alpha=0.13, lw=0)
            panel.plot(widths, [span.value for span in each], linestyle=dash, color=tone, linewidth=1.4)
            for width, row, span in zip(widths, rows, each, strict=True):
                (point,) = panel.plot([width], [span.value], mark, color=tone, markersize=6)
                style.hover(point, f"{points.told(row)}, {width:g} beams")
            tag.append(labels.Label(widths[-1], each[-1].value, style.shortened(name, 22), tone))
            ends += [end for span in each for end in span]
    known = sorted({width for line in lines.values() for width in line})
    for panel in panels:
        axes.logarithmic(panel.xaxis, *axes.around(known))
        panel.set_xticks(known, [f"{width:g}" for width in known])
        panel.set_xlabel("beams (log)")
    panels[0].set_ylim(*axes.zoomed(spread[0]))
    panels[1].set_ylim(0, max(spread[1]) * 1.08)
    panels[1].yaxis.set_major_formatter(axes.plainly)
    panels[0].set_ylabel("hit@1, %")
    panels[1].set_ylabel("queries per second")
    first = next(iter(next(iter(lines.values())).values()))
    axes.headed(panels[0], task, points.data_of([first]))
    return labels.at_ends(panels[1], tags[1])

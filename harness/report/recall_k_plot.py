"""hit@k against k, with intervals: a line a contestant, of many the best of each paradigm and then the best of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.report import axes, labels, points, style
from harness.report.points import Span
from harness.report.words import percent
from harness.results.rows import Row

MOST = 8  # lines; more lie on each other
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))  # of a paradigm's first, second ... line


def recall_against_k(rows: Sequence[Row], folder: Path) -> list[Path]:
    groups = _groups(rows)
    shown = {row.paradigm for group in groups.values() for row in group}
    return style.drawn(groups, _panel, folder, "recall-k", height=lambda group: 2.7, paradigms=shown)


def alt(rows: Sequence[Row]) -> str:
    def said(group: Sequence[Row]) -> str:
        row = points.best_first(group)[0]
        ks = _ks(group)
        ends = " to ".join(f"{percent(row.metrics[f'hit@{k}'])} % at {k}" for k in (ks[0], ks[-1]))
        return f"of {len(group)} contestants, {row.retriever} finds most: {ends}"

    return "hit@k against k, a line a contestant. " + points.briefly(_groups(rows), said)


def _groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {task: group for task, group in points.contestants(rows).items() if len(_ks(group)) > 1}


def _ks(group: Sequence[Row]) -> list[int]:
    """Those at which all were scored."""
    each = [{name for name in row.metrics if name.startswith("hit@") and points.found(row, name)} for row in group]
    return sorted(int(name.removeprefix("hit@")) for name in set.intersection(*each))


def chosen(group: Sequence[Row], most: int = MOST) -> list[tuple[Row, int]]:
    """Rows to be drawn, and how many others of the paradigm have the very same curve."""
    ks = _ks(group)
    curves: dict[Any, list[Row]] = {}
    for row in points.best_first(group):
        values = tuple(round(span.value, 6) for k in ks if (span := points.found(row, f"hit@{k}")))
        curves.setdefault((row.paradigm, row.asked, values), []).append(row)
    heads = [(members[0], len(members) - 1) for members in curves.values()]
    firsts = {row.paradigm: row.retriever for row, _ in reversed(heads)}
    heads.sort(key=lambda head: firsts[head[0].paradigm] != head[0].retriever)  # stable: by hit@1 otherwise
    return heads[:most]


def _panel(panel: Any, task: str, group: list[Row]) -> style.Finish:
    ks, shown = _ks(group), chosen(group)
    met: dict[str, int] = {}
    tags = []
    spread: list[float] = []
    for row, alike in shown:
        spans = [span for k in ks if (span := points.found(row, f"hit@{k}"))]
        tone = style.colour(row.paradigm)
        turn = met[row.paradigm] = met.get(row.paradigm, -1) + 1
        panel.fill_between(ks, *zip(*(span[1:] for span in spans), strict=True), color=tone, alpha=0.1, linewidth=0)
        middle = [span.value for span in spans]
        panel.plot(ks, middle, linestyle=DASHES[turn % len(DASHES)], color=tone, linewidth=1.5)
        for k, span in zip(ks, spans, strict=True):
            (mark,) = panel.plot([k], [span.value], style.marker(row.paradigm), color=tone, markersize=5)
            style.hover(mark, _told(row, k, span))
        more = f" +{alike}" if alike else ""
        asked = "" if row.asked is None else f" (of {row.asked:,})"
        tags.append(labels.Label(ks[-1], middle[-1], f"{style.shortened(row.retriever, 30)}{more}{asked}", tone))
        spread += [end for span in spans for end in span]
    axes.logarithmic(panel.xaxis, ks[0] / 1.08, ks[-1] * 1.04)
    panel.set_xticks(ks, [f"{k}" for k in ks])
    panel.set_ylim(*axes.zoomed(spread, room=0.05))
    panel.set_xlabel("k (log)")
    panel.set_ylabel("hit@k, %")
    absent = len(group) - sum(1 + alike for _, alike in shown)
    if absent:
        axes.cornered(panel, f"{absent} others not shown")
    axes.headed(panel, task, points.data_of(group))
    return labels.at_ends(panel, tags)


def _told(row: Row, k: int, span: Span) -> str:
    return f"{points.named(row)}: hit@{k} {percent(row.metrics[f'hit@{k}'])}"

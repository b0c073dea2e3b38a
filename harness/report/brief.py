"""The seven columns that tell most: for a terminal, and for a printed page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.report.columns import AGES, Column, columns, latency, loads, metric_column, several_right, within_bound
from harness.report.words import quantity
from harness.results.rows import Row

COLUMNS = 7
SHORT = {"dual-tower": "dual", "single-tower": "single"}


def brief(ks: Sequence[int], group: Sequence[Row]) -> list[Column]:
    """Columns in which anything stands."""
    ends = tuple(dict.fromkeys((ks[0], ks[-1]))) if ks else ()
    known = {column.name: column for column in columns(ks, group)}
    aged = [name for k in ends[:1] for age in AGES if any((name := f"{age}hit@{k}") in row.metrics for row in group)]
    wanted = [
        *[metric_column(f"hit@{k}") for k in ends[:1]],
        *[_short(f"hit@{k}") for k in ends[1:]],
        *[_short(name) for name in aged],
        *[_short(f"recall@{k}") for k in ends[-1:] if several_right(group)],
        replace(known["queries/s"], text=lambda row: quantity(row.mean("speed", "offline", "qps", "median"))),
        known["p50 ms"],
        *within_bound(group),
        *map(latency, loads(group)),
        Column("prepare s", _prepare),
        known["index"],
    ]
    filled = [column for column in wanted if any(column.text(row) != "–" for row in group)]
    runs = [Column("run", lambda row: row.run, words=True)] if any(row.run for row in group) else []
    paradigm = Column("paradigm", lambda row: SHORT.get(row.paradigm, row.paradigm), words=True)
    return [*runs, known["retriever"], paradigm, *filled][:COLUMNS]


def _short(name: str) -> Column:
    """Without its interval, which the first of them has."""

    def text(row: Row) -> str:
        value = row.metrics[name]["value"] if name in row.metrics else None
        return "–" if value is None else f"{100 * value:.1f}"

    return replace(metric_column(name), text=text)


def _prepare(row: Row) -> str:
    spent = [row.mean("cost", name) for name in ("fit_s", "index_s", "add_s")]
    return "–" if spent[0] is None else quantity(sum(each for each in spent if each is not None))

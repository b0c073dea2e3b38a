"""A task asked in folds gets a table of its own: the mean of its folds, as the literature reports it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from harness.contract.folds import Fold, fold_of
from harness.results.rows import Row
from harness.store.record import Metric


def with_means(rows: Sequence[Row]) -> list[Row]:
    """The same rows, and before those of a task's folds one for each retriever with results in all of them."""
    parts: dict[str, dict[str, dict[int, Row]]] = {}
    for row in rows:
        fold = fold_of(row.task)
        if fold:
            parts.setdefault(fold.whole, {}).setdefault(row.retriever, {})[fold.number] = row
    found: list[Row] = []
    for row in rows:
        fold = fold_of(row.task)
        for members in parts.pop(fold.whole, {}).values() if fold else ():
            if fold and len(members) == fold.of:
                found.append(_mean(fold, [members[number] for number in sorted(members)]))
        found.append(row)
    return found


def without_parts(rows: Sequence[Row]) -> list[Row]:
    """Without the rows of single folds, where there are means."""
    means = {row.task for row in rows if row.folds}
    folds = [(row, fold_of(row.task)) for row in rows]
    return [row for row, fold in folds if fold is None or fold.whole not in means]


def _mean(fold: Fold, members: list[Row]) -> Row:
    worst = next((row for row in members if row.status != "ok"), members[0])
    names = [name for name in members[0].metrics if all(name in row.metrics for row in members)]
    # Folds share neither queries nor candidates; but over several seeds their errors go together.
    alone = all(len(row.seeds) == 1 for row in members)
    return replace(
        worst,
        task=fold.whole,
        seeds=tuple(dict.fromkeys(seed for row in members for seed in row.seeds)),
        sessions=tuple(dict.fromkeys(session for row in members for session in row.sessions)),
        metrics={name: _mean_metric([row.metrics[name] for row in members], alone) for name in names},
        records=tuple(each for row in members for each in row.records) if worst.status == "ok" else (),
        folds=fold.of,
        asked=_asked(members),
    )


def _asked(members: Sequence[Row]) -> int | None:
    """The number of queries in all folds together; None where every fold was asked all of its queries."""
    if all(row.asked is None for row in members):
        return None
    whole = [row.records[0]["data"]["queries"] if row.records and row.records[0]["data"] else 0 for row in members]
    return sum(count if row.asked is None else row.asked for row, count in zip(members, whole, strict=True))


def _mean_metric(each: Sequence[Metric], independent: bool) -> Metric:
    """The mean and its interval: errors of independent parts add as squares, others are taken to go together."""
    values = [metric["value"] for metric in each]
    if any(value is None for value in values):
        return {"value": None, "low": None, "high": None}
    value = sum(value for value in values if value is not None) / len(each)
    lows, highs = [metric["low"] for metric in each], [metric["high"] for metric in each]
    if any(bound is None for bound in (*lows, *highs)):
        return {"value": value, "low": None, "high": None}
    below = [abs((mid or 0.0) - (low or 0.0)) for mid, low in zip(values, lows, strict=True)]
    above = [abs((high or 0.0) - (mid or 0.0)) for mid, high in zip(values, highs, strict=True)]
    low, high = (math.hypot(*each) / len(each) if independent else sum(each) / len(each) for each in (below, above))
    return {"value": value, "low": value - low, "high": value + high}

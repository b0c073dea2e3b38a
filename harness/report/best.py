"""Who is best in a column of a task's table, and whose bracket reaches that: what tables set in bold."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.report.columns import Column, Spread, cells
from harness.report.forms import BEST, NEAR
from harness.results.rows import Row, competes, doubts, near_chance


def table(group: Sequence[Row], columns: Sequence[Column]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A task's rows as text, and the mark of each cell."""
    names = [column.name for column in columns]
    texts = pd.DataFrame([cells(row, columns) for row in group], columns=names, dtype=object)
    return texts, pd.DataFrame({column.name: marks(group, column) for column in columns}, dtype=object)


def marks(group: Sequence[Row], column: Column) -> list[str]:
    """BEST, NEAR or nothing for each row. Nobody is best alone, at chance, or with a rate that can't be trusted."""
    found = [_number(row, column) for row in group]
    values = [each.value for each in found if each is not None]
    if len(values) < 2:
        return [""] * len(found)
    best = min(values) if column.less else max(values)
    winners = {column.text(row) for row, each in zip(group, found, strict=True) if each and each.value == best}
    return [_mark(row, column, each, best, winners) for row, each in zip(group, found, strict=True)]


def _number(row: Row, column: Column) -> Spread | None:
    if column.number is None or not competes(row):
        return None
    if column.timed:
        return None if any(each.invalid for each in doubts(row).values()) else column.number(row)
    return None if near_chance(row) and column.name.endswith("%") else column.number(row)


def _mark(row: Row, column: Column, number: Spread | None, best: float, winners: set[str]) -> str:
    """Who shows the same as the best is no worse."""
    if number is None:
        return ""
    if column.text(row) in winners:
        return BEST
    edge = number.low if column.less else number.high
    return NEAR if edge is not None and (edge <= best if column.less else edge >= best) else ""

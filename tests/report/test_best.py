"""Who is best in a column, whose bracket reaches it, and who doesn't compete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folders import FIRST, TASK, add, write_page

from harness.report import best, columns, main_table
from harness.results import rows as results
from harness.store import record
from harness.store.run_folder import RunFolder


def row(name: str, value: float, low: float, high: float, size: int = 10, **changes: Any) -> results.Row:
    found: Any = record.load(FIRST)
    found["data"]["chance"] = {"hit@1": 0.1}
    found["cost"] |= {"index_bytes": size, "constant_bytes": 0}
    found["config"] = {**found["config"], "retriever": {"kind": changes.pop("kind", "dual_tower")}}
    found["speed"] = changes.pop("speed", None)
    metrics: Any = {"hit@1": {"value": value, "low": low, "high": high}}
    fields: dict[str, Any] = {"paradigm": "dual-tower", "status": "ok", "reason": "", "seeds": (0,), "sessions": ("s",)}
    return results.Row(TASK, name, metrics=metrics, records=(found,), **fields | changes)


def marks(rows: list[results.Row], name: str) -> list[str]:
    (column,) = [each for each in columns.columns([1], rows) if each.name == name]
    return best.marks(rows, column)


def test_the_best_and_those_that_may_be_as_good() -> None:
    rows = [row("a", 0.5, 0.4, 0.6), row("b", 0.55, 0.5, 0.6, 5), row("c", 0.3, 0.2, 0.54), row("d", 0.55, 0.5, 0.6)]
    assert marks(rows, "hit@1 %") == ["near", "best", "", "best"]
    assert marks(rows, "index") == ["", "best", "", ""]
    assert marks(rows, "retriever") == marks(rows, "note") == [""] * 4


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "oracle", "paradigm": "control"},
        {"paradigm": "control"},
        {"status": "failed"},
    ],
)
def test_controls_and_failures_do_not_compete(changes: dict[str, Any]) -> None:
    rows = [row("a", 0.5, 0.4, 0.6), row("b", 0.4, 0.3, 0.45), row("x", 1.0, 0.9, 1.0, 1, **changes)]
    assert marks(rows, "hit@1 %") == ["best", "", ""] and marks(rows, "index") == ["best", "best", ""]


def test_nobody_is_best_alone_or_near_chance() -> None:
    assert marks([row("a", 0.5, 0.4, 0.6)], "hit@1 %") == [""]
    assert marks([row("a", 0.15, 0.05, 0.2), row("b", 0.12, 0.03, 0.2)], "hit@1 %") == ["", ""]


def test_a_rate_that_is_invalid_does_not_win() -> None:
    speed: Any = record.load(FIRST)["speed"]
    rows = [row("a", 0.5, 0.4, 0.6, speed=speed), row("b", 0.4, 0.3, 0.5, speed=speed)]
    assert any(each.invalid for each in results.doubts(rows[0]).values())
    assert marks(rows, "queries/s") == ["", ""]


def test_the_legend_stands_where_something_is_marked(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    add(folder)
    told = [main_table.markdown("t", results.rows(folder, folder.records()), [1], None)]
    add(folder, 0, "other")
    told.append(main_table.markdown("t", results.rows(folder, folder.records()), [1], None))
    assert ["Bold: the best of its column" in text for text in told] == [False, True]
    assert "**" in told[1] and "**" not in told[0]

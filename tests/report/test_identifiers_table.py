"""Identifiers and data, each in a table of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from folders import TASK, add, write_page

from harness.report import data_table, identifiers
from harness.results import rows as results
from harness.store import record
from harness.store.run_folder import RunFolder

LEVELS = [{"size": 32, "used": 30, "perplexity": 28.04}, {"size": 8, "used": 8, "perplexity": 7.96}]
TOLD = {"candidates": 1000, "distinct": 915, "colliding": 163, "largest": 4, "levels": LEVELS}


def test_identifiers_are_told_level_by_level(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    add(folder, 0, "dual")
    assert identifiers.markdown(results.rows(folder, folder.records())) == ""
    add(folder, 0, "cart", details={"identifiers": TOLD, "first_token_accuracy": 0.336})
    add(folder, 0, "bare", details={"identifiers": {"candidates": 4, "levels": [{"size": 2}]}})
    text = identifiers.markdown(results.rows(folder, folder.records()))
    assert "| cart | 1,000 | 915 | 163 | 4 | 30/32, 8/8 | 28.0, 8.0 | 33.6 |" in text
    assert "| bare | 4 | – | – | – | – | – | – |" in text and "dual" not in text


def test_what_was_measured_is_told_once_a_task(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    data: Any = record.load(folder.record_path(add(folder)))["data"]
    add(folder, 0, "other")
    shape = {"generated": False, "ceiling": None, "dropped": 2, "positives": 2.5, "chance": {"hit@1": 0.25}}
    for name in ("dual", "other"):
        add(folder, 0, name, data={**data, **shape})
    text = data_table.markdown(results.rows(folder, folder.records()))
    assert f"| {TASK} | recorded | 4 | 4 | 2.5 | 25 (hit@1) | – | 2 | these |" in text and text.count(TASK) == 1
    assert data_table.markdown([]) == ""

"""Ablations: each change beside the full system, with its paired difference, in words and in numbers."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from folders import add, write_page

from harness.report import ablation
from harness.results import rows as results
from harness.store.run_folder import RunFolder


def test_changes_stand_below_their_full_system(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    add(folder, retriever="cart", answers=[0, 1, 2, 3])
    add(folder, retriever="cart-no-fusion", answers=[1, 0, 3, 2])
    add(folder, retriever="cart-small", answers=[0, 1, 2, 0])
    add(folder, retriever="dual", answers=[0, 1, 2, 3])
    folder.write_journal(
        {"cells": [], "sessions": [], "ablation": {"cart": ["cart-no-fusion", "cart-small", "cart-lost"]}}
    )
    found = ablation.ablations(folder, results.rows(folder, folder.records()))
    assert [line.name for line in found] == ["cart", "no-fusion", "small"]
    assert found[0].against is None
    differences = [line.against.difference for line in found if line.against]
    assert [round(each[0], 6) for each in differences] == [-1.0, -0.25]
    assert all(line.p is not None and line.against and line.p >= line.against.difference.p for line in found[1:])
    text = ablation.markdown(found)
    assert "## cart, sounds/test/text-audio" in text
    assert "| no-fusion |" in text and "-100.0 [" in text
    table = list(csv.DictReader(io.StringIO(ablation.comma_separated(found))))
    assert [row["system"] for row in table] == ["cart", "no-fusion", "small"]
    assert float(table[1]["difference"]) == -1.0 and table[0]["difference"] == ""


def test_without_an_ablation_there_is_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    add(folder)
    assert ablation.ablations(folder, results.rows(folder, folder.records())) == []

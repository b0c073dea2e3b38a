"""One column of paired differences: who the reference is, Holm over that column alone, its forms."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from folders import FIRST, TASK, add, write_page

from harness import report
from harness.report import against, paired, plots
from harness.results import rows as results
from harness.score.statistics import holm
from harness.store import record
from harness.store.run_folder import RunFolder

RANDOM = {**record.load(FIRST)["config"], "retriever": {"kind": "random"}}


def contest(folder: RunFolder, compare_to: str = "") -> list[against.Line]:
    write_page(folder)
    add(folder, 0, "a-random", config=RANDOM, paradigm="control")
    add(folder, 0, "b-learnt", paradigm="control")
    add(folder, 0, "dual")
    add(folder, 0, "worse", answers=[1, 0, 3, 2])
    add(folder, 0, "half@x=1", answers=[0, 1, 3, 2])
    journal: dict[str, Any] = {"suite": "t", "cells": [], "sessions": []}
    folder.write_journal(journal | ({"compare_to": compare_to} if compare_to else {}))
    return against.against(folder, results.rows(folder, folder.records()))


@pytest.mark.parametrize(
    ("wanted", "reference"),
    [("", "dual"), ("worse", "worse"), ("half", "half@x=1"), ("half@x=1", "half@x=1"), ("gone", "dual")],
)
def test_the_reference_is_the_one_named_or_the_first_that_is_no_control(
    tmp_path: Path, wanted: str, reference: str
) -> None:
    found = contest(RunFolder(tmp_path), wanted)
    assert {line.pair.second for line in found} == {reference}
    assert {line.pair.first for line in found} == {"b-learnt", "dual", "worse", "half@x=1"} - {reference}


def test_differences_are_those_of_all_pairs_and_holm_is_over_the_column(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    found = contest(folder, "dual")
    every = paired.pairs(folder, results.rows(folder, folder.records()))
    for line in found:
        (same,) = [pair for pair in every if {pair.first, pair.second} == {line.pair.first, "dual"}]
        sign = 1 if same.second == "dual" else -1
        assert (
            line.pair.difference.value == sign * same.difference.value and line.pair.difference.p == same.difference.p
        )
    assert [line.p for line in found] == holm([line.pair.difference.p for line in found]).tolist()


def test_words_and_numbers_say_the_same(tmp_path: Path) -> None:
    found = contest(RunFolder(tmp_path))
    page, table = against.markdown(found), list(csv.DictReader(io.StringIO(against.comma_separated(found))))
    assert f"## {TASK}, against dual" in page and "| worse | -100.0 [" in page
    (worse,) = [row for row in table if row["retriever"] == "worse"]
    assert (worse["against"], float(worse["difference"]), worse["hit@10 difference"]) == ("dual", -1.0, "")
    assert float(worse["low"]) <= float(worse["difference"]) <= float(worse["high"]) and worse["queries"] == "4"


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "PLOTS", [])  # which takes a second each


@pytest.mark.usefixtures("no_plots")
def test_all_pairs_are_written_when_they_are_asked_for(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    contest(folder)
    for pairs in (False, True, False):
        report.write(folder, "t", folder.records(), pairs=pairs)
        assert (tmp_path / "tables/paired.md").exists() == pairs, "and none is left over"
        assert (tmp_path / "tables/against.md").exists()


@pytest.mark.usefixtures("no_plots")
def test_alone_there_is_nobody_to_compare_with(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    add(folder, 0, "a-random", config=RANDOM)
    assert against.against(folder, results.rows(folder, folder.records())) == []
    add(folder, 0, "dual")
    report.write(folder, "t", folder.records())
    assert not (tmp_path / "tables/against.md").exists()

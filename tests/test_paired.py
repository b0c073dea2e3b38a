"""Paired differences: on shared queries only, with the numbers that paired_difference gives, adjusted together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import ANSWERS, FIRST, TASK, write_page

from harness import record
from harness.report import paired, tables
from harness.report.paired import Comparison
from harness.retriever import Ranking
from harness.run_folder import RunFolder, cell_name
from harness.statistics import holm, paired_difference

EACH = np.arange(4)


def add(folder: RunFolder, name: str, paradigm: str, kind: str, best: list[int], asked: Any = EACH) -> None:
    """One cell that answered so."""
    ids = np.stack([np.array(best), (np.array(best) + 1) % 4], axis=1)
    found: Any = record.load(FIRST)
    found |= {"task": TASK, "retriever": name, "paradigm": paradigm, "seed": 0, "config": {"retriever": {"kind": kind}}}
    found["data"] |= {"digest": "these", "items": 4, "queries": 4}
    ranking = Ranking(ids, np.array([[1.0, 0.5]] * len(ids), np.float32))
    found["rankings"] = folder.write_ranking(cell_name(TASK, name, 0), ranking, asked)
    record.save(folder.record_path(cell_name(TASK, name, 0)), found)


def compared(folder: RunFolder) -> dict[str, Comparison]:
    rows = tables.rows(folder, folder.records())
    return {each.retriever: each for each in paired.comparisons(folder, rows)}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path)
    write_page(made)
    add(made, "chance", "control", "random", ANSWERS[2])
    add(made, "dual", "dual-tower", "dual_tower", ANSWERS[0])  # all right
    add(made, "half", "generative", "cart", ANSWERS[1])  # the first two
    add(made, "none", "single-tower", "match", ANSWERS[2])
    add(made, "few", "hybrid", "rerank", [0, 2, 3], np.array([1, 2, 3]))  # not asked the first, wrong at the second
    return made


def test_each_is_compared_with_the_dual_tower_on_the_queries_of_both(folder: RunFolder) -> None:
    found = compared(folder)
    assert set(found) == {"half", "none", "few"}, "chance is nobody's rival"
    assert {(each.reference, each.other) for each in found.values()} == {("dual", 1.0)}
    assert {name: (each.queries, each.value) for name, each in found.items()} == {
        "half": (4, 0.5),
        "none": (4, 0.0),
        "few": (3, pytest.approx(2 / 3)),
    }
    expected = paired_difference(np.array([1.0, 1, 0, 0]), np.ones(4), EACH)
    assert found["half"].difference == expected and expected.value == -0.5
    order = list(found)
    assert [found[name].adjusted for name in order] == holm([found[name].difference.p for name in order]).tolist()


def test_the_table_says_how_many_queries_were_shared(folder: RunFolder) -> None:
    text = paired.markdown(list(compared(folder).values()))
    assert "| few | 3 | 66.7 | dual | 100.0 | -33.3 [" in text and "| half | 4 | 50.0 | dual | 100.0 | -50.0 [" in text


def test_without_a_dual_tower_there_is_nothing_to_compare(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    add(folder, "half", "generative", "cart", ANSWERS[1])
    assert compared(folder) == {}

"""Paired differences: on shared queries and seeds, signed, between contestants only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from folders import ANSWERS, add, write_page

from harness.contract.retriever import PAD, Ranking
from harness.report import costs, paired
from harness.results import rows as results
from harness.score.statistics import Difference
from harness.store import record
from harness.store.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path)
    write_page(made)
    return made


def pairs_of(folder: RunFolder) -> list[paired.Pair]:
    return paired.pairs(folder, results.rows(folder, folder.records()))


def test_the_first_minus_the_second_where_both_answered(folder: RunFolder) -> None:
    for seed in (0, 1):  # 4, then 2 of 4 right
        add(folder, seed, "good")
    for seed in (1, 2):  # 2, then none
        add(folder, seed, "worse")
    (pair,) = pairs_of(folder)
    assert (pair.first, pair.second, pair.seeds, pair.queries) == ("good", "worse", 1, 4), "seed 1 is all they share"
    assert pair.difference.value == 0.0, "and there they gave the same answers"


def test_a_better_one_is_told_with_its_sign(folder: RunFolder) -> None:
    add(folder, 0, "right")
    add(folder, 0, "wrong", answers=ANSWERS[2])
    (pair,) = pairs_of(folder)
    assert pair.difference.value == 1.0
    (row,) = paired.cells([pair])
    assert row[3].startswith("+100.0 [") and row[-2:] == ["1", "4"]
    assert "| right | wrong |" in paired.markdown([pair])


def test_what_is_found_among_ten_has_a_difference_of_its_own(folder: RunFolder) -> None:
    for name, places in (("first", [0, 1, 2, 3]), ("later", [1, 0, 3, 2])):  # all are right at once, or second
        cell = add(folder, 0, name)
        ids = np.full((4, 10), PAD)
        ids[:, 0], ids[:, 1] = places, [1, 0, 3, 2] if name == "first" else [0, 1, 2, 3]
        scores = np.where(ids == PAD, -np.inf, 1.0).astype(np.float32)
        found = record.load(folder.record_path(cell))
        found["rankings"] = folder.write_ranking(cell, Ranking(ids, scores), np.arange(4))
        record.save(folder.record_path(cell), found)
    (pair,) = pairs_of(folder)
    assert pair.difference.value == 1.0
    assert pair.deeper is not None and pair.deeper.value == 0.0
    (row,) = paired.cells([pair])
    assert row[6].startswith("+0.0 [")


def test_controls_that_see_nothing_are_left_out(folder: RunFolder) -> None:
    add(folder, 0, "good")
    config = folder.records()[0]["config"]
    add(folder, 2, "random", config={**config, "retriever": {"kind": "random"}})
    assert pairs_of(folder) == []


def test_every_artifact_counts_once(folder: RunFolder) -> None:
    def cost(name: str, digest: str, seconds: float) -> dict[str, object]:
        return {name: {"s": seconds, "peak_mb": None, "phase": "fit", "digest": digest}}

    shared = cost("encoder small", "e", 90.0)
    for retriever, own in (("one", 6.0), ("two", 4.0)):
        spent = {"fit_s": 0.0, "index_s": 0.0, "index_bytes": 1, "parameters": 1}
        artifacts = {**shared, **cost(f"retriever {retriever}", retriever, own)}
        add(folder, 0, retriever, cost={**spent, "artifacts": artifacts})
    found = costs.costs(folder.records())
    assert [(each.artifact, each.seconds) for each in found] == [
        ("encoder small", 90.0),
        ("retriever one", 6.0),
        ("retriever two", 4.0),
    ]
    assert found[0].users == ("one", "two")
    assert costs.lines(found)[0] == "    90.0 s  90.0 %  encoder small: one, two"
    assert "100 s in all" in costs.markdown(found)


def test_the_foot_says_what_interval_and_p_are(folder: RunFolder) -> None:
    add(folder, 0, "right")
    add(folder, 0, "wrong", answers=ANSWERS[2])
    told = paired.markdown(pairs_of(folder))
    assert "McNemar's, clustered by item" in told and "p is below 0.05 exactly where the interval leaves out 0" in told


def test_a_p_that_is_all_but_zero_is_told_as_such() -> None:
    certain = paired.Pair("t", "a", "b", Difference(0.16, 0.13, 0.19, 0.0), None, 1, 5000)
    assert paired.cells([certain])[0][4:6] == ["< 1e-6", "< 1e-6"]

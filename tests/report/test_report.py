"""Tables: what stands in a row is what the records say, and nothing that is left over counts."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from folders import add, write_page

from harness import report
from harness.contract.retriever import Ranking
from harness.report import columns, main_table, notes, recall_rate_plot
from harness.results import rows as results
from harness.store import record
from harness.store.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path)
    write_page(made)
    return made


def only_row(folder: RunFolder) -> results.Row:
    found = results.rows(folder, folder.records())
    assert len(found) == 1
    return found[0]


def config_of(folder: RunFolder, name: str) -> dict[str, Any]:
    return record.load(folder.record_path(name))["config"]


def test_seeds_become_one_row_from_their_rankings(folder: RunFolder) -> None:
    for seed in range(3):  # 4, 2 and 0 of 4 right
        add(folder, seed)
    row = only_row(folder)
    assert row.seeds == (0, 1, 2)
    metric = row.metrics["hit@1"]
    assert metric["value"] == pytest.approx(0.5)
    assert metric["low"] is not None and metric["high"] is not None
    assert metric["low"] < 0.4 and metric["high"] > 0.6
    assert notes.notes(row, None) == "INVALID: noise, few rounds, few queries; 3 seeds"


def test_a_seed_from_before_the_settings_changed_does_not_count(folder: RunFolder) -> None:
    config = config_of(folder, add(folder, 2, made="2026-01-01T00:00:00Z"))
    add(folder, 0, made="2026-01-02T00:00:00Z", config={**config, "retriever": {"kind": "dual_tower", "index": "Flat"}})
    row = only_row(folder)
    assert row.seeds == (0,) and row.metrics == row.records[0]["metrics"]


def test_a_seed_with_other_cutoffs_does_not_count(folder: RunFolder) -> None:
    name = add(folder, 2, made="2026-01-01T00:00:00Z")
    metrics = record.load(folder.record_path(name))["metrics"]
    add(folder, 0, made="2026-01-02T00:00:00Z", metrics={**metrics, "hit@50": metrics["hit@5"]})
    assert only_row(folder).seeds == (0,)


def test_a_failed_seed_is_told_whatever_the_others_found(folder: RunFolder) -> None:
    add(folder, 0)
    add(folder, 1, status="failed", reason="Traceback\nValueError: no", metrics={})
    row = only_row(folder)
    assert row.status == "failed" and row.reason == "ValueError: no"


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ({"encode": 0.5, "search": 0.01}, "100"),
        ({"encode": 0.5, "decode": 0.01, "rerank": 0.03}, "25"),
        ({"search": 0.01}, "–"),  # whether it encodes outside of it, nobody knows
        ({}, "–"),
    ],
)
def test_search_only_is_all_but_encoding(folder: RunFolder, stages: dict[str, float], said: str) -> None:
    name = add(folder)
    speed: Any = record.load(folder.record_path(name))["speed"]
    speed["offline"]["stages"] = stages
    add(folder, speed=speed)
    assert columns.cells(only_row(folder), columns.columns([1]))["search only/s"] == said


def test_every_number_of_the_csv_is_that_of_the_record(folder: RunFolder) -> None:
    add(folder)
    row = only_row(folder)
    (line,) = csv.DictReader(io.StringIO(main_table.comma_separated([row])))
    found: Any = row.records[0]
    assert float(line["hit@5 low"]) == found["metrics"]["hit@5"]["low"]
    assert float(line["qps median"]) == found["speed"]["offline"]["qps"]["median"]
    assert float(line["fit_s"]) == found["cost"]["fit_s"]
    assert line["session"] == found["speed"]["session"]


def test_who_is_no_better_than_chance_is_named_above_the_table(folder: RunFolder) -> None:
    """The record's own intervals: 0.0 at hit@1 and 6.5 % at hit@5, where a random order gets 4.2 and 20.8."""
    name = add(folder)
    said = main_table.markdown("t", [only_row(folder)], [1, 5], None)
    assert "\n\nnear chance: dual. No hit@k of theirs is certainly above" in said
    for which, changes in {
        "above at one k": {"metrics": {**record.load(folder.record_path(name))["metrics"], "hit@5": above()}},
        "a control": {"config": {"retriever": {"kind": "random"}}},
    }.items():
        add(folder, **changes)
        assert notes.chance_note([only_row(folder)]) is None, which


def above() -> dict[str, float]:
    return {"value": 0.5, "low": 0.3, "high": 0.7}


def test_chance_is_written_as_a_plain_number(folder: RunFolder) -> None:
    name = add(folder)
    data: Any = record.load(folder.record_path(name))["data"]
    row = only_row(folder)
    row.records[0]["data"] = {**data, "chance": {"hit@1": 1.0}}
    assert "chance 100 % at hit@1" in notes.caption([row])


def test_a_number_of_fewer_queries_is_marked_in_itself(folder: RunFolder) -> None:
    data: Any = record.load(folder.record_path(add(folder)))["data"]
    add(folder, 1, "slow")
    for seed in (0, 1):
        name = add(folder, seed, "few", data={**data, "sampled_queries": 2 + seed})
        keep(folder, name, 2 + seed)
    found = {row.retriever: row for row in results.rows(folder, folder.records())}
    cells = {name: columns.cells(row, columns.columns([1, 5])) for name, row in found.items()}
    assert "(of" not in "".join(cells["dual"].values())
    assert cells["few"]["hit@1 %"].endswith("] (of 2)"), "those that all seeds were asked"
    assert cells["few"]["MRR@10 %"].endswith("(of 2)")
    assert "too slow for all queries" in cells["few"]["note"]
    config = {**found["few"].records[0]["config"], "retriever": {"kind": "dual_tower", "queries": 2}}
    add(folder, 0, "stated", data={**data, "sampled_queries": 2}, config=config)
    stated = next(row for row in results.rows(folder, folder.records()) if row.retriever == "stated")
    assert columns.cells(stated, columns.columns([1]))["hit@1 %"].endswith("(of 2)") and "too slow" not in notes.notes(
        stated, ""
    )
    lines = {
        line["retriever"]: line for line in csv.DictReader(io.StringIO(main_table.comma_separated([*found.values()])))
    }
    assert lines["few"]["asked"] == "2" and lines["dual"]["asked"] == ""


def keep(folder: RunFolder, name: str, count: int) -> None:
    """As if only the first so many queries had been asked."""
    ids, scores, query = folder.read_ranking(name)
    found: Any = record.load(folder.record_path(name))
    found["rankings"] = folder.write_ranking(name, Ranking(ids[:count], scores[:count]), query[:count])
    record.save(folder.record_path(name), found)


def test_seeds_that_share_no_query_have_no_number(folder: RunFolder) -> None:
    for seed, rows in ((0, slice(0, 2)), (1, slice(2, 4))):
        name = add(folder, seed)
        ids, scores, query = folder.read_ranking(name)
        found: Any = record.load(folder.record_path(name))
        found["rankings"] = folder.write_ranking(name, Ranking(ids[rows], scores[rows]), query[rows])
        record.save(folder.record_path(name), found)
    assert columns.cells(only_row(folder), columns.columns([1]))["hit@1 %"] == "–"


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        ({"index_bytes": 2_000_000, "constant_bytes": 35_000}, "2 MB + 35 kB"),
        ({"index_bytes": 2_000_000, "constant_bytes": 45}, "2 MB"),
        ({"index_bytes": 0, "constant_bytes": 0}, "0 B"),
        ({"index_bytes": 2_000_000}, "2 MB"),  # a record from before the two were told apart
    ],
)
def test_an_index_tells_what_grows_and_what_does_not(folder: RunFolder, cost: dict[str, int], said: str) -> None:
    add(folder, cost={"fit_s": 0.0, "index_s": 0.0, "artifacts": {}, "parameters": 1, **cost})
    row = only_row(folder)
    assert columns.cells(row, columns.columns([1]))["index"] == said
    (line,) = csv.DictReader(io.StringIO(main_table.comma_separated([row])))
    assert line["constant_bytes"] == ("" if "constant_bytes" not in cost else str(float(cost["constant_bytes"])))


def test_what_was_chosen_on_validation_is_noted(folder: RunFolder) -> None:
    tried = [{"lr": 0.0001, "steps": 0, "hit@1": 0.5}, {"lr": 0.001, "steps": 30, "hit@1": 0.4}]
    add(folder, details={"tried": tried})
    assert notes.notes(only_row(folder), None).endswith("lr 0.0001, steps 0 chosen on validation")


def test_answers_that_differ_one_by_one_and_changed_settings_are_noted(folder: RunFolder) -> None:
    speed: Any = record.load(folder.record_path(add(folder)))["speed"]
    for agree, words in ((0.996, ""), (0.72, "one by one it answers otherwise (28 % of queries)")):
        add(folder, speed={**speed, "single": {**speed["single"], "agree": agree, "compared": 25}})
        assert ("one by one" in notes.notes(only_row(folder), None)) == bool(words)
        assert words in notes.notes(only_row(folder), None)
    add(folder, changed=["torch threads", "sys.path"])
    assert "changed what all share: torch threads, sys.path" in notes.notes(only_row(folder), None)


def test_a_plot_tells_who_was_asked_fewer_and_joins_none_of_them_with_others(folder: RunFolder) -> None:
    data: Any = record.load(folder.record_path(add(folder)))["data"]
    for name, sampled in (("dual@a=1", None), ("dual@a=2", None), ("dual@a=3", 2)):
        add(folder, 0, name, data={**data, "sampled_queries": sampled})
    drawn = recall_rate_plot.recall_against_rate(results.rows(folder, folder.records()), folder.root / "plots")
    svg = next(path for path in drawn if path.suffix == ".svg").read_text()
    assert ">dual@a=3 (of 2)</text>" in svg and ">dual +2</text>" in svg, "three that lie on each other are one"
    assert "dual@a=1 (dual-tower): hit@1" in svg and "(of 2 queries)" in svg
    assert len(drawn) == 2 and [row.asked for row in results.rows(folder, folder.records())] == [None, None, None, 2]
    assert {len(rows) for rows in recall_rate_plot.joined(results.rows(folder, folder.records()))} == {1, 3}


def test_tables_end_with_what_the_suite_says_of_itself(folder: RunFolder) -> None:
    add(folder)
    told = "Lessons are short here; \x1b[2Jlonger ones stand elsewhere"
    folder.write_journal({"suite": "t", "about": told, "cells": [], "sessions": []})
    rows, shown = report.write(folder, "t", folder.records()).rows, io.StringIO()
    report.show(rows, [1, 5], None, shown, about=told)
    for text in ((folder.root / "tables/main.md").read_text(), shown.getvalue()):
        assert "longer ones stand elsewhere" in text.splitlines()[-1] and "\x1b" not in text


def test_a_control_that_learns_is_in_the_plot_and_one_that_sees_nothing_is_not(folder: RunFolder) -> None:
    """It may beat those that it controls."""
    add(folder, 0, "dual-distilled", paradigm="control", config={"retriever": {"kind": "dual_tuned"}})
    add(folder, 0, "random", paradigm="control", config={"retriever": {"kind": "random"}})
    svg, _ = recall_rate_plot.recall_against_rate(results.rows(folder, folder.records()), folder.root / "plots")
    assert "dual-distilled (control" in svg.read_text() and "random" not in svg.read_text()

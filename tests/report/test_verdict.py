"""Sentences: signs, words, what is not significant, who is near chance, what does not compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import FIRST

from harness.contract.dataset import Links
from harness.contract.retriever import Ranking
from harness.machine import files
from harness.report import against, verdict
from harness.results import folds
from harness.results import rows as results
from harness.score.scoring import chance, score
from harness.store import record
from harness.store.run_folder import RunFolder, cell_name

ITEMS = 400
QUIET: Any = {"others": 0.0, "noisy": False, "load": [0.0, 0.0, 0.0]}


def page(folder: RunFolder, task: str) -> None:
    item = np.arange(ITEMS)
    content = {"digest": task, "positives": item[:, None].tolist(), "cluster": item.tolist()}
    files.write(folder.task_path(task), files.pack_json({**content, "candidates": {"names": list(map(str, item))}}))


def add(
    folder: RunFolder, name: str, share: float, rate: float = 100.0, task: str = "a/test/text-audio", **changes: Any
) -> None:
    """So many queries get the right answer first."""
    item = np.arange(ITEMS)
    order = changes.pop("order", np.random.default_rng(1).permutation(ITEMS))
    right = np.isin(item, order[: int(share * ITEMS)])
    ids = np.where(right, item, (item + 1) % ITEMS)[:, None]
    found: Any = record.load(FIRST)
    links = Links.paired(item, item, ITEMS)
    found |= {"task": task, "retriever": name, "paradigm": changes.pop("paradigm", "dual-tower"), "seed": 0}
    found["config"] = {**found["config"], "retriever": {"kind": "dual_tower", "name": name}}
    found["data"] |= {"digest": task, "items": ITEMS, "queries": ITEMS, "chance": chance(links, [1], ITEMS)}
    found["data"] |= changes.pop("data", {})
    found["metrics"] = score(ids, links, item, [1], ITEMS)
    rounds = (rate * np.linspace(0.99, 1.01, 15)).tolist()
    qps = {"median": rate, "q25": rounds[3], "q75": rounds[11], "rounds": rounds}
    timed = {"qps": qps, "stages": {}, "round_queries": 100, "repeat": {"agree": 1.0, "speedup": 1.0}}
    found["speed"] = {"session": "s", "offline": timed, "noise": QUIET} | changes.pop("speed", {})
    first = changes.pop("first", ITEMS)  # of the queries it was asked so many
    if first < ITEMS:
        found["data"]["sampled_queries"] = first
        found["metrics"] = score(ids[:first], links.take(item[:first]), item[:first], [1], ITEMS)
    found["cost"] |= {"index_bytes": 1_020_000, "constant_bytes": 0} | changes.pop("cost", {})
    cell = cell_name(task, name, 0)
    found["rankings"] = folder.write_ranking(cell, Ranking(ids[:first], np.ones((first, 1), np.float32)), item[:first])
    record.save(folder.record_path(cell), found)


def said(folder: RunFolder) -> list[str]:
    rows = results.rows(folder, folder.records())
    return verdict.sentences(rows, against.against(folder, rows))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path)
    page(made, "a/test/text-audio")
    made.write_journal({"suite": "t", "cells": [], "sessions": [], "compare_to": "dual"})
    return made


def test_who_finds_less_is_slower_and_smaller(folder: RunFolder) -> None:
    add(folder, "dual", 0.5, 1000)
    add(folder, "cart", 0.4, 180, paradigm="generative", cost={"index_bytes": 10_000})
    first, second = said(folder)
    assert first.startswith(
        "a/test/text-audio (generated data, 400 candidates): nobody found the right clip first more"
    )
    assert "50.0 % of the time (95 %: " in first
    assert second.startswith("cart found the right clip first 10.0 points less often than dual (95 %: ")
    assert "answered 0.18 times as many queries a second (0.1" in second
    assert second.endswith("and its index takes 10 kB where the other takes 1.02 MB.")
    low, high = map(float, second.partition("(95 %: ")[2].partition(")")[0].split(" to "))
    assert 5 < low < 10 < high < 15


def test_the_best_is_the_best_on_queries_that_both_answered(folder: RunFolder) -> None:
    """Asked a hundred of them it finds half of these, where the other finds a fifth, though four fifths of all."""
    late_first = np.roll(np.arange(ITEMS), -100)
    add(folder, "dual", 0.8, order=late_first)
    add(folder, "pairs", 50 / ITEMS, paradigm="single-tower", first=100, order=np.arange(ITEMS))
    told = said(folder)
    assert "pairs found the right clip first 30.0 points more often than dual on the 100 queries" in told[0]
    assert not any("nobody" in each for each in told)


def test_who_finds_more_and_is_recorded(folder: RunFolder) -> None:
    data = {"generated": False, "ceiling": None, "modality": "image"}
    add(folder, "dual", 0.4, data=data)
    add(folder, "match", 0.6, 101, paradigm="single-tower", data=data)
    (first,) = said(folder)
    assert "recorded data" in first and "match found the right picture first 20.0 points more often than dual" in first
    assert "answered about as many queries a second" in first or "answered 1.01 times" in first
    assert "its index takes 1.02 MB, as the other's does" in first


def test_a_difference_that_is_not_significant_is_said_to_be_none(folder: RunFolder) -> None:
    add(folder, "dual", 0.5)
    add(folder, "cart", 0.505, paradigm="generative")
    (first,) = said(folder)
    assert "cart and dual found the right clip first about as often: a difference of +0.5 points (95 %: " in first
    assert "is not significant" in first and "more often" not in first


def test_nobody_near_chance_is_praised(folder: RunFolder) -> None:
    add(folder, "dual", 0.5)
    add(folder, "cart", 0.0, 9e9, paradigm="generative")
    _, second = said(folder)
    assert second == "cart, the best generative contestant, is not certainly better than a random order."
    add(folder, "dual", 0.0)
    (only,) = said(folder)
    assert only.endswith("dual, with which the others are compared, is not certainly better than a random order.")


def test_rates_of_two_sessions_or_of_noise_are_not_compared(folder: RunFolder) -> None:
    add(folder, "dual", 0.4)
    for speed in ({"session": "another"}, {"noise": {**QUIET, "others": 0.5, "noisy": True}}):
        add(folder, "cart", 0.6, paradigm="generative", speed=speed)
        (first,) = said(folder)
        assert "more often" in first and "queries a second" not in first


def test_controls_say_nothing_and_texts_come_first(folder: RunFolder) -> None:
    for task in ("z/test/audio-text", "b/test/text-audio", "c/test/text-audio"):
        page(folder, task)
    for task in ("z/test/audio-text", "a/test/text-audio", "b/test/text-audio", "c/test/text-audio"):
        add(folder, "dual", 0.4, task=task)
        add(folder, "caption-match", 0.9, task=task, paradigm="control")
        add(folder, "cart", 0.6, task=task, paradigm="generative")
    told = said(folder)
    assert [each.partition("/")[0] for each in told] == ["a", "b", "c"] and "caption-match" not in "".join(told)


def test_one_alone_says_nothing(folder: RunFolder) -> None:
    add(folder, "dual", 0.4)
    assert said(folder) == []


def test_a_task_in_folds_is_one_task(tmp_path: Path) -> None:
    made = RunFolder(tmp_path)
    made.write_journal({"suite": "t", "cells": [], "sessions": [], "compare_to": "dual"})
    for number, found in ((1, 0.5), (2, 0.75)):
        task = f"a/test/text-audio/{number}of2"
        page(made, task)
        add(made, "dual", found, task=task)
        add(made, "cart", found - 0.1, paradigm="generative", task=task)
    rows = folds.with_means(results.rows(made, made.records()))
    (line,) = against.against(made, rows)
    assert (line.pair.task, line.pair.queries) == ("a/test/text-audio", 800)
    assert line.pair.difference.value == pytest.approx(-0.1) and line.pair.difference.high < -0.05
    first, second = verdict.sentences(rows, [line])
    assert first.startswith("a/test/text-audio (generated data, 400 candidates, in each of 2 folds): nobody found")
    assert second.startswith("cart found the right clip first 10.0 points less often than dual (95 %: ")

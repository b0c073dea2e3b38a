"""The page of a run's folder: all of it is there, what others wrote stays text, the same folder, the same bytes."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import TASK, add, write_page

from harness import report
from harness.contract.retriever import Ranking
from harness.machine import files
from harness.report import page_data, plots
from harness.results import folds
from harness.results import rows as results
from harness.store import record
from harness.store.run_folder import RunFolder, cell_name

ATTACK = "<img src=x onerror=alert(1)>"
TEXTS = [ATTACK, "word " * 2000, "كلب ينبح", "a dog 🐕 barks"]
NAME = 'a "quoted" | piped'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(plots, "PLOTS", plots.PLOTS[:1])  # a second each
    made = RunFolder(tmp_path)
    write_page(made)
    page = made.read_task(TASK)
    page["queries"]["texts"] = TEXTS
    files.write(made.task_path(TASK), files.pack_json(page))
    for name, answers, paradigm in ((NAME, [0, 1, 2, 3], "dual-tower"), ("cart", [0, 1, 3, 2], "generative")):
        add(made, retriever=name, answers=answers, paradigm=paradigm)
    return made


def written(folder: RunFolder) -> str:
    report.write(folder, f"suite {ATTACK}", folder.records())
    return (folder.root / "report.html").read_text(encoding="utf-8")


def unpacked(html: str) -> dict[str, Any]:
    (packed,) = re.findall(r'<script type="application/[^"]*" id="answers-[^"]*"[^>]*>([^<]*)<', html)
    found: dict[str, Any] = json.loads(gzip.decompress(b64decode(packed)))
    return found


def test_it_holds_the_table_the_plot_and_the_answers(folder: RunFolder) -> None:
    html = written(folder)
    assert all(part in html for part in ("Recall against rate", "<svg", TASK, "Against", "hit@1 %"))
    answers = unpacked(html)
    assert [each["text"] for each in answers["queries"]] == TEXTS
    assert {each["name"] for each in answers["retrievers"]} == {NAME, "cart"}


def test_what_others_wrote_stays_text(folder: RunFolder) -> None:
    html = written(folder)
    assert ATTACK not in html and "&lt;img src=x" in html
    assert "a &#34;quoted&#34; | piped" in html


def test_the_same_folder_gives_the_same_bytes(folder: RunFolder) -> None:
    assert written(folder) == written(folder)


def test_scores_beyond_all_numbers_are_shown_all_the_same(folder: RunFolder) -> None:
    ids, scores, asked = folder.read_ranking(cell_name(TASK, "cart", 0))
    endless = np.where(np.arange(2) == 0, np.inf, scores).astype(np.float32)
    records = folder.records()
    folder.write_ranking(cell_name(TASK, "cart", 0), Ranking(ids, endless), asked)
    report.write(folder, "suite", records)
    assert (folder.root / "report.html").stat().st_size > 10_000


def test_of_a_task_in_folds_the_first_can_be_looked_at(folder: RunFolder) -> None:
    page = folder.read_task(TASK)
    for fold in (f"{TASK}/1of2", f"{TASK}/2of2"):
        files.write(folder.task_path(fold), files.pack_json(page))
        ids, scores, asked = folder.read_ranking(cell_name(TASK, "cart", 0))
        name = cell_name(fold, "cart", 0)
        rankings = folder.write_ranking(name, Ranking(ids, scores), asked)
        found: Any = {**folder.records()[0], "task": fold, "retriever": "cart", "rankings": rankings}
        record.save(folder.record_path(name), found)
    rows = [row for row in results.rows(folder, folder.records()) if row.task != TASK]
    shown = page_data.assembled(folder, "t", folds.with_means(rows), [1], [], [], [])
    assert [section["title"] for section in shown["sections"] if section["explorer"]] == [TASK]
    (explorer,) = shown["explorers"].values()
    assert explorer["task"] == f"{TASK}/1of2"

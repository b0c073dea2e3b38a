"""The preview: what the dual towers find, before the dear ones are made; it changes nothing that is measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.contest import preview
from harness.contest.asking import Contestant
from harness.contest.recording import Session
from harness.contest.runner import run
from harness.contest.task import Task, open_task
from harness.contract.dataset import Contents
from harness.contract.retriever import Footprint, Ranking, Retriever
from harness.data.datasets.soundscapes import Soundscapes, SoundscapesSettings
from harness.machine import progress
from harness.machine.environment import describe
from harness.store.artifacts import Store
from harness.store.run_folder import RunFolder
from harness.suite import load

SUITE = """\
name: early
k: [1, 5]
scenarios: {offline: {rounds: 2, cap_s: 120}}  # so long that all are asked everything on any machine
datasets: {sounds: {kind: soundscapes, train: 24, validation: 8, test: 20}}
encoders: {audio: {kind: small, trained_on: sounds, steps: 3, batch: 16, dim: 16}}
captioners: {words: {kind: small, encoder: audio, steps: 2, items: 8, samples: 3}}
tasks: [{dataset: sounds, encoder: audio, captioner: words}]
retrievers:
  random: {kind: random}
  dual:   {kind: dual_tower}
  hnsw:   {kind: dual_tower, index: "HNSW8,Flat"}
  tuned:  {kind: dual_tuned, steps: 2, batch: 8}
"""


class Half(Retriever):
    """Knows every second answer."""

    def __init__(self, task: Task, error: Exception | None = None) -> None:
        known = {query: int(task.links.of(place)[0]) for place, query in enumerate(task.queries)}
        self.known, self.error, self.asked = known, error, 0

    def index(self, gallery: Contents) -> None: ...
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...
    def footprint(self) -> Footprint:
        return Footprint(0, 0)

    def search(self, queries: Contents, k: int) -> Ranking:
        if self.error:
            raise self.error
        ids = np.array(
            [
                [(self.known[query] + (place % 2) + rank) % 20 for rank in range(k)]
                for place, query in enumerate(queries)
            ]
        )
        self.asked += len(queries)
        return Ranking(ids, np.zeros(ids.shape, np.float32))


@pytest.fixture
def task() -> Task:
    return open_task("t", Soundscapes(SoundscapesSettings(train=8, validation=4, test=20)), "test", "text-audio")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(progress._reporter, "say", lines.append, raising=False)
    return lines


def test_it_tells_what_is_found_and_leaves_out_who_fails(task: Task, said: list[str]) -> None:
    contestants = [Contestant("half", Half(task)), Contestant("broken", Half(task, ValueError("no")))]
    preview.show(contestants, task, (1, 5))
    assert said[1:] == ["    half: hit@1 50.0 %, hit@5 50.0 % of 100 queries"]
    assert "preview" in said[0]
    assert contestants[1].failure is None, "it fails where it counts"


def test_it_ends_when_its_time_is_over(task: Task, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "BUDGET_S", 0.0)
    half = Half(task)
    preview.show([Contestant("half", half)], task, (1, 5))
    assert half.asked == preview.AT_ONCE


def outcome(folder: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> Any:
    (folder / "early.yaml").write_text(SUITE)
    monkeypatch.setattr(progress._reporter, "say", lines.append, raising=False)
    out = RunFolder(folder / "out")
    session = Session("s", load(folder / "early.yaml"), out, Store(folder / "cache"), folder, describe())
    run(session)
    return {name: out.record(name)["metrics"] for name in (cell.file for cell in session.suite.cells())}, session


def test_a_run_shows_the_dual_towers_once_before_the_dear_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    found, session = outcome(tmp_path, monkeypatch, lines)
    shown = [place for place, line in enumerate(lines) if re.search(r"preview|hit@1", line)]
    named = [lines[place].split(":")[0].strip() for place in shown]
    assert named[1:] == ["dual", "hnsw"] and "preview" in lines[shown[0]]
    ready = {line.split(":")[0].strip(): place for place, line in enumerate(lines) if ": ready in" in line}
    assert ready["hnsw"] < shown[0] < shown[-1] < ready["tuned"]
    lines.clear()
    run(session)
    assert not any("preview" in line for line in lines), "all is measured"
    silent = tmp_path / "silent"
    silent.mkdir()
    monkeypatch.setattr(preview, "show", lambda *given: None)
    assert outcome(silent, monkeypatch, [])[0] == found, "what is measured is what it is without"

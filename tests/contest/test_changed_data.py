"""A cell is done for the data that it was measured on: other captions or other bytes, and it is measured again."""

from __future__ import annotations

from pathlib import Path

import pytest
import recorded_sets
from media_files import write_sound
from runs import harness, records

SUITE = """\
name: changed
k: [1]
scenarios: {offline: {rounds: 1, cap_s: 5}}
tasks: [{dataset: clotho}]
retrievers: {random: {kind: random}, oracle: {kind: oracle}}
"""
AGAIN = "its data changed since: run again"


@pytest.fixture
def world(tmp_path: Path) -> Path:
    (tmp_path / "data/clotho").mkdir(parents=True)
    recorded_sets.clotho(tmp_path / "data/clotho")
    (tmp_path / "suite.yaml").write_text(SUITE)
    return tmp_path


def run(world: Path) -> str:
    asked = ["run", world / "suite.yaml", "--out", world / "out", "--data", world / "data", "--threads", 1]
    done = harness(world / "cache", *asked)
    assert done.returncode == 0, done.stderr
    return done.stderr


def edited(world: Path, part: str) -> None:
    path = world / f"data/clotho/clotho_captions_{part}.csv"
    path.write_text(path.read_text().replace("red", "green"))


def test_other_captions_other_bytes_or_other_lessons_are_measured_again(world: Path) -> None:
    assert AGAIN not in run(world)
    assert "2 reused" in run(world)
    seen = {(each["data"]["digest"], each["data"]["contents"]) for each in records(world / "out").values()}
    assert len(seen) == 1
    for change in (
        lambda: edited(world, "evaluation"),
        lambda: edited(world, "development"),
        lambda: write_sound(world / "data/clotho/evaluation/30.wav", 777, rate=16_000),
    ):
        change()
        told = run(world)
        assert told.count(AGAIN) == 1 and "reused" not in told
        assert "2 reused" in run(world)
        seen |= {(each["data"]["digest"], each["data"]["contents"]) for each in records(world / "out").values()}
    assert len(seen) == 4 and len({questions for questions, _ in seen}) == 2, "texts are part of the questions"

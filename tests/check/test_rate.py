"""The gate's third tier: pairs of runs side by side, judged by an interval and by the noise of the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import python_path

from harness.check.rate import MARGIN, Block, floor, judge, median, noise, orders, ratios


def blocks(rng: np.random.Generator, spread: float, slower: float = 0.0, count: int = 6) -> list[Block]:
    """Of a machine that drifts far from block to block; B takes `slower` times longer."""
    found = []
    for order in orders(count, rng):
        level = rng.normal(0, 0.3)
        logs = (level + rng.normal(0, spread) - (np.log1p(slower) if name == "B" else 0.0) for name in order)
        found.append(Block(order, tuple(100 * np.exp(each) for each in logs)))
    return found


def test_neighbours_are_compared_and_the_same_version_shows_the_noise() -> None:
    block = Block("ABBA", (100.0, 50.0, 40.0, 80.0))
    np.testing.assert_allclose(np.exp(ratios([block])), [0.5, 0.5])
    np.testing.assert_allclose(np.exp(noise([block])), [0.8, 0.8])
    np.testing.assert_allclose(np.exp(ratios([Block("BAAB", (50.0, 100.0, 80.0, 40.0))])), [0.5, 0.5])


def test_the_median_of_twelve_has_the_interval_of_the_sign_test() -> None:
    """The third smallest and the third largest hold it in 96.1 % of all cases (binomial, n = 12)."""
    found = median(np.arange(12.0))
    assert (found.low, found.high) == (2.0, 9.0) and found.value == 5.5
    rng = np.random.default_rng(0)
    held = [median(row).low <= 0 <= median(row).high for row in rng.standard_cauchy((2000, 12))]
    assert 0.95 < np.mean(held) < 0.975
    assert median(np.arange(5.0)).low == -np.inf, "five say nothing at this level"


@given(st.integers(1, 40))
def test_blocks_of_both_kinds_are_as_many(count: int) -> None:
    found = orders(count, np.random.default_rng(count))
    assert len(found) == count and abs(found.count("ABBA") - found.count("BAAB")) <= 1


def test_error_rates() -> None:
    """300 jobs of ten cells each: no false alarm, what is 30 % slower is caught, 10 % never passes."""
    rng = np.random.default_rng(1)
    for spread, caught in ((0.01, 0.99), (0.03, 0.99)):
        states = {slower: [judge(_job(rng, spread, slower))[0][0] for _ in range(100)] for slower in (0.0, 0.1, 0.3)}
        assert "regression" not in states[0.0]
        assert "fine" not in states[0.1]
        assert np.mean([state == "regression" for state in states[0.3]]) >= caught
    alarms = [state for _ in range(100) for state, _ in judge(_job(rng, 0.05, 0.0))]
    assert alarms.count("regression") <= 0.002 * len(alarms)


def _job(rng: np.random.Generator, spread: float, slower: float) -> list[list[Block]]:
    return [blocks(rng, spread, slower), *(blocks(rng, spread) for _ in range(9))]


def test_a_noisy_machine_says_so_and_never_passes() -> None:
    rng = np.random.default_rng(2)
    found = [judge([blocks(rng, 0.15)])[0] for _ in range(50)]
    assert all(state == "inconclusive" and "noisier than the margin" in words for state, words in found)
    quiet = judge([blocks(rng, 0.001)])[0]
    assert quiet[0] == "fine" and "in 12 pairs" in quiet[1] and "margin -5.0 %" in quiet[1]


def test_the_floor_grows_with_the_noise() -> None:
    rng = np.random.default_rng(3)
    floors = [floor(noise(blocks(rng, spread, count=50))) for spread in (0.0, 0.01, 0.1)]
    assert floors[0] == 0.0 and floors == sorted(floors)
    assert MARGIN == 0.05


# -- two versions of somebody's repository ----------------------------------------------------------------------------

RETRIEVER = """\
import time
from pathlib import Path
import numpy as np
from harness.contract import Contents, Footprint, Pairs, Ranking, Retriever, best

class Slow(Retriever):
    def index(self, gallery: Contents) -> None:
        self.count = len(gallery)
    def search(self, queries: Contents, k: int) -> Ranking:
        time.sleep(SECONDS * len(queries))
        return best(np.tile(np.arange(self.count, dtype=np.float32), (len(queries), 1)), k)
    def save(self, folder: Path) -> None:
        (folder / "count").write_text(str(self.count))
    def load(self, folder: Path) -> None:
        self.count = int((folder / "count").read_text())
    def footprint(self) -> Footprint:
        return Footprint(index_bytes=0, parameters=0)
"""
SUITE = """\
name: theirs
k: [1]
scenarios: {offline: {rounds: 3, cap_s: 5}}
datasets: {sounds: {kind: soundscapes, train: 4, validation: 4, test: 6}}
tasks: [{dataset: sounds}]
retrievers:
  slow: {kind: python, target: "theirs:Slow", paradigm: control}
  "null": {kind: "null"}
"""


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def check(folder: Path, *more: str, suite: str = "suites/theirs.yaml") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", "check", suite, *more, "--threads", "1"]
    environment = {"PYTHONPATH": python_path(folder), "PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=550)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A repository with a retriever of its own, at first quick."""
    folder = tmp_path / "theirs"
    (folder / "suites").mkdir(parents=True)
    (folder / "suites/theirs.yaml").write_text(SUITE)
    (folder / "suites/theirs.py").write_text(RETRIEVER.replace("SECONDS", "0.004"))
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "quick")
    return folder


def test_a_slow_down_in_somebody_elses_repository_is_caught(theirs: Path) -> None:
    (theirs / "suites/theirs.py").write_text(RETRIEVER.replace("SECONDS", "0.008"))
    done = check(theirs, "--base", "HEAD", "--only", "slow", "--junit", "verdicts.xml")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "regression" in done.stdout and "slow · seed 0 (rate): queries/s -4" in done.stdout
    assert 'failures="1"' in (theirs / "verdicts.xml").read_text()
    kept = subprocess.run(["git", "worktree", "list"], cwd=theirs, capture_output=True, text=True).stdout
    assert len(kept.splitlines()) == 1, "the base's checkout is gone"


def test_what_can_not_be_compared_is_said(theirs: Path, tmp_path: Path) -> None:
    for more, words in (
        (("--base", "no-such-revision"), "a revision that it knows"),
        (("--base", "HEAD", "--pairs", "2"), "expected 12 to 10000"),
        (("--base", "HEAD", "--update"), "--update is for --against"),
        (("--base", "HEAD", "--only", "nothing"), "names no cell"),
        (("--base", "HEAD", "--against", "reference"), "not allowed with"),
    ):
        done = check(theirs, *more)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done.stderr
    (theirs / "suites/new.yaml").write_text(SUITE)
    done = check(theirs, "--base", "HEAD", suite="suites/new.yaml")
    assert done.returncode == 2 and "isn't in HEAD" in done.stderr

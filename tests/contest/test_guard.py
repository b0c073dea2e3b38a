"""What contestants share is put back after each call into one of them, said once, and harms no neighbour."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import torch
from installed import harness, install
from links import single

from baselines.controls import Oracle
from harness.contest import guard
from harness.contest.asking import Contestant, Questions, in_memory
from harness.contest.timing import contest
from harness.contract.dataset import Contents, Waveform, texts
from harness.contract.retriever import Ranking
from harness.contract.settings import Settings
from harness.score.scoring import score

SCENARIOS: dict[str, dict[str, Any]] = {
    "offline": {"rounds": 3, "cap_s": 5.0},
    "single": {"queries": 25, "cap_s": 5.0},
}
COUNT = 30
Deed = tuple[Callable[[], Any], Callable[[], Any]]  # what it does, and what to look at
LOUD: dict[str, Deed] = {
    "torch threads": (lambda: torch.set_num_threads(3), torch.get_num_threads),
    "torch gradients": (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "torch default dtype": (lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
    "torch deterministic algorithms": (
        lambda: torch.use_deterministic_algorithms(not torch.are_deterministic_algorithms_enabled(), warn_only=True),
        torch.are_deterministic_algorithms_enabled,
    ),
    "torch float32 precision": (
        lambda: torch.set_float32_matmul_precision("medium"),
        torch.get_float32_matmul_precision,
    ),
    "torch backends": (lambda: torch.backends.mkldnn.set_flags(False), lambda: torch.backends.mkldnn.enabled),
    "faiss threads": (lambda: faiss.omp_set_num_threads(5), faiss.omp_get_max_threads),
    "numpy error handling": (lambda: np.seterr(all="raise"), np.geterr),
    "environment variables": (lambda: (os.environ.pop("HOME", None), os.environ.update(ODD="1")), os.environ.copy),
    "sys.path": (lambda: sys.path.insert(0, "/nowhere"), sys.path.copy),
    "working directory": (lambda: os.chdir("/"), Path.cwd),
    "signal handlers": (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN), lambda: signal.getsignal(signal.SIGINT)),
}
SILENT: dict[str, Deed] = {
    "warning filters": (lambda: warnings.simplefilter("ignore"), lambda: list(warnings.filters)),
    "random state": (random.random, random.getstate),
    "numpy random state": (np.random.random, lambda: np.random.get_state()[1].tolist()),  # type: ignore[index, union-attr]
    "torch random state": (lambda: torch.rand(1), lambda: torch.get_rng_state().tolist()),
}


class Rude(Oracle):
    """Does something at each call, and gives up at the end if it's told to."""

    def __init__(self, deed: Callable[[], Any], fails: bool = False) -> None:
        super().__init__(Settings())
        self.deed, self.fails = deed, fails

    def search(self, queries: Contents, k: int) -> Ranking:
        self.deed()
        if self.fails:
            raise RuntimeError("gives up")
        return super().search(queries, k)

    def counts(self) -> dict[str, int]:
        self.deed()
        return {}

    def reset_counts(self) -> None:
        self.deed()


class Watching(Oracle):
    """Looks at something at each call."""

    def __init__(self, look: Callable[[], Any]) -> None:
        super().__init__(Settings())
        self.look, self.seen = look, list[Any]()

    def search(self, queries: Contents, k: int) -> Ranking:
        self.seen.append(self.look())
        return super().search(queries, k)


def beside(rude: Oracle, watching: Oracle, queries: Contents | None = None) -> list[Contestant]:
    queries = texts([f"query {number}" for number in range(COUNT)]) if queries is None else queries
    links = single(np.arange(COUNT))
    for each in (rude, watching):
        each.peek(links)
    contestants = [Contestant("rude", rude), Contestant("watching", watching)]
    contest(contestants, Questions(queries, queries[:5], "own", COUNT, 3, 0), SCENARIOS)
    fine = contestants[1]
    assert fine.failure is None and fine.changed == {}
    assert score(fine.ranking.ids, links, np.arange(COUNT), [1], COUNT)["hit@1"]["value"] == 1.0
    return contestants


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", [*LOUD, *SILENT])
def test_what_one_changes_no_other_sees(name: str, fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(guard, "say", said.append)
    deed, look = {**LOUD, **SILENT}[name]
    before = look()
    watching = Watching(look)
    rude = beside(Rude(deed, fails), watching)[0]
    assert look() == before
    assert all(seen == before for seen in watching.seen) and len(watching.seen) > 25
    if name in LOUD:
        assert name in rude.changed or (name == "faiss threads" and "torch threads" in rude.changed), "or one OpenMP"
        assert said == [f"  rude: changed {', '.join(rude.changed)}, which all contestants share; put back"]
    else:
        assert not rude.changed and not said
    assert (rude.failure is not None) == fails


@pytest.mark.parametrize(
    "change",
    [
        lambda queries: queries.positions.__setitem__(slice(None), 0),
        lambda queries: queries[3:9].positions.__setitem__(0, 7),
        lambda queries: queries[0].samples.__setitem__(slice(None), 0),
    ],
)
def test_contents_that_are_handed_out_can_not_be_changed(change: Callable[[Contents], None]) -> None:
    sounds = [Waveform(np.full(4, number, np.float32), 8000) for number in range(COUNT)]
    queries = Contents("audio", sounds.__getitem__, np.arange(COUNT), "sounds")
    rude = Rude(lambda: None)

    def search(asked: Contents, k: int) -> Ranking:
        change(asked)
        return Oracle.search(rude, asked, k)

    rude.search = search  # type: ignore[method-assign]
    watching = Watching(lambda: None)
    first = beside(rude, watching, queries)[0]
    assert "read-only" in str(first.failure)


def test_links_can_not_be_changed_and_their_makers_own_arrays_can() -> None:
    mine = np.arange(5)
    links = single(mine)
    for array in (links.targets, links.starts, links.of(2), in_memory(texts(["a"])).positions):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 3
    mine[0] = 1


MODULE = """
import os, sys
import numpy as np, torch
from baselines.controls import Constant
from harness.contract import Settings
torch.set_grad_enabled(False)
class Rude(Constant):
    def __init__(self):
        super().__init__(Settings())
    def load(self, folder):
        torch.set_num_threads(7)
        os.environ["ODD"] = "1"
        super().load(folder)
    def search(self, queries, k):
        np.seterr(all="raise")
        os.chdir("/")
        return super().search(queries, k)
    def footprint(self):
        sys.path.insert(0, "/nowhere")
        return super().footprint()
"""
SUITE = """\
name: rude
k: [1]
scenarios: {offline: {rounds: 2, cap_s: 5}, single: {queries: 4, cap_s: 2}}
datasets: {few: {kind: tones, count: 20}}
tasks: [{dataset: few, encoder: pitch}]
retrievers:
  rude: {kind: python, target: "rude:Rude", paradigm: control}
  dual: {kind: dual_tower}
  oracle: {kind: oracle}
"""


def test_a_run_says_what_was_changed_and_its_record_and_table_too(tmp_path: Path) -> None:
    outside = Path(__file__).parents[1] / "fixtures" / "outside"
    site = tmp_path / "site"
    entries = {"datasets": {"tones": "outside.entries:TONES"}, "encoders": {"pitch": "outside.entries:PITCH"}}
    install(site, "outside", {f"harness.{group}": points for group, points in entries.items()})
    (site / "outside").symlink_to(outside / "outside")
    (site / "rude.py").write_text(MODULE)
    (tmp_path / "suite.yaml").write_text(SUITE)
    done = harness(site, tmp_path, "run", "suite.yaml", "--out", "run", "--threads", 1)
    assert done.returncode == 0, done.stderr
    read = {path.stem: json.loads(path.read_bytes()) for path in (tmp_path / "run" / "records").glob("*.json")}
    found = {record["retriever"]: record for record in read.values()}
    assert set(found["rude"]["changed"]) == {
        *("torch gradients", "torch threads", "environment variables"),
        *("numpy error handling", "working directory", "sys.path"),
    }
    assert "changed" not in found["dual"] and "changed" not in found["oracle"]
    assert found["oracle"]["metrics"]["hit@1"]["value"] == found["dual"]["metrics"]["hit@1"]["value"] == 1.0
    assert "rude: changed torch threads, torch gradients, environment variables, which all" in done.stderr
    assert "changed what all share: torch threads" in (tmp_path / "run/tables/main.md").read_text()


def test_what_pytorch_writes_down_for_itself_is_nobodys_doing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(guard.OF_TORCH, raising=False)
    said: dict[str, None] = {}
    with guard.kept("learner", said):
        monkeypatch.setenv(guard.OF_TORCH, "/somewhere")
    assert not said and os.environ[guard.OF_TORCH] == "/somewhere"

"""The committed reference of suites/smoke.yaml: what is learnt comes frozen, and what breaks in the code is seen."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from harm import flip
from runs import ROOT

from baselines import indexes
from cart import decoding
from harness.check import frozen
from harness.check.compare import compare
from harness.check.reference import open_reference
from harness.check.verdict import Verdict
from harness.cli import main
from harness.machine import compute
from harness.score import metrics, scoring
from harness.store.run_folder import RunFolder

SUITE, KEPT = ROOT / "suites/smoke.yaml", ROOT / "results/reference/smoke"
TASK = "tiny-sounds/test/text-audio"
CELLS = ("dual-exact", "cart")


@pytest.fixture
def verdicts(tmp_path, monkeypatch):
    """Runs two cells with what is frozen, in this process; the gate's verdicts on them."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "store"))
    frozen.thaw(KEPT, tmp_path / "store")

    def run() -> dict[tuple[str, str], Verdict]:
        only = ",".join(f"{TASK}.{name}.0" for name in CELLS)
        command = ["run", str(SUITE), "--only", only, "--out", str(tmp_path / "run"), "--quiet"]
        assert main([*command, "--compute", "default", "--threads", "1"]) == 0
        kept = open_reference(KEPT)
        names = {f"{TASK} · {name} · seed 0": name for name in CELLS}
        found = [each for each in compare(kept, RunFolder(tmp_path / "run")) if each.cell in names]
        return {(names[each.cell], f"{each.tier} {each.words.partition(' ')[0]}"): each for each in found}

    yield run
    compute.configure("cpu", 1)


def exact(found: dict[tuple[str, str], Verdict], name: str) -> Verdict:
    return next(each for (cell, tier), each in found.items() if cell == name and tier.startswith("exact"))


def test_what_works_is_fine_and_nothing_is_trained(verdicts, tmp_path):
    found = verdicts()
    assert len(found) == 6 and {each.state for each in found.values()} == {"fine"}, found
    committed = {path.parent.name for path in KEPT.glob("store/*/*/manifest.json")}
    trained = {path.parent.name for path in (tmp_path / "store").glob("*/*/manifest.json")} - committed
    kinds = {path.parent.parent.name for path in (tmp_path / "store").glob("*/*/manifest.json")}
    assert {"embeddings", "retriever", "features"} <= kinds, "what isn't learnt was computed"
    made = [path for path in (tmp_path / "store").glob("*/*") if path.name in trained]
    assert not {path.parent.name for path in made} & set(frozen.INSTRUMENTS)


def test_an_index_that_loses_a_candidate(verdicts, monkeypatch):
    build = indexes.ExactIndex.build

    def loses(self: indexes.ExactIndex, vectors: np.ndarray) -> None:
        vectors = np.array(vectors)
        vectors[len(vectors) // 2] = 0
        build(self, vectors)

    monkeypatch.setattr(indexes.ExactIndex, "build", loses)
    told = exact(verdicts(), "dual-exact")
    assert told.state == "regression" and "queries are answered otherwise" in told.words


def test_a_scorer_that_is_off_by_one(verdicts, monkeypatch):
    def off(ids, *rest):
        return metrics.per_query(np.roll(ids, 1, axis=1), *rest)

    monkeypatch.setattr(scoring, "metrics", SimpleNamespace(**vars(metrics) | {"per_query": off}))
    found = verdicts()
    assert exact(found, "dual-exact").state == exact(found, "cart").state == "regression"
    assert "the same answers have hit@" in exact(found, "cart").words


def test_fewer_beams(verdicts, monkeypatch):
    search = decoding.search

    def narrow(model, queries, trie, beams, k, *rest):
        return search(model, queries, trie, k, k, *rest)

    monkeypatch.setattr(decoding, "search", narrow)
    found = verdicts()
    assert exact(found, "dual-exact").state == "fine"
    told = exact(found, "cart")
    assert told.state == "regression" and "instead of" in told.words, told


def test_a_damaged_store_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is run: it takes no time."""
    shutil.copytree(KEPT, tmp_path / "smoke")
    for path in sorted((tmp_path / "smoke" / "store").rglob("*"), key=lambda path: path.as_posix()):
        if not path.is_file():
            continue
        flip(path)
        assert main(["check", str(SUITE), "--against", str(tmp_path / "smoke")]) == 2
        assert f"{path} was altered since the reference was written" in capsys.readouterr().err
        flip(path)

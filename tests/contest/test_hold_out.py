"""`hold_out`: a share of the gallery comes when the rest is indexed; old and added are told apart all the way."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_task import Numbers

from harness import report
from harness.contest.recording import Session
from harness.contest.runner import Outcome, run
from harness.contest.task import open_task
from harness.contract.dataset import Links
from harness.contract.problems import SuiteError
from harness.machine.environment import describe
from harness.score.scoring import score
from harness.store.artifacts import Store
from harness.store.run_folder import RunFolder
from harness.suite import load

SUITE = """\
name: growing
k: [1, 5, 20]
seeds: [0, 1]
scenarios: {offline: {rounds: 2, cap_s: 2}}
datasets: {sounds: {kind: soundscapes, train: 24, validation: 8, test: 20}}
encoders: {audio: {kind: small, trained_on: sounds, steps: 3, batch: 16, dim: 16}}
captioners: {captions: {kind: small, encoder: audio, steps: 2, items: 8, samples: 3}}
tasks:
  - {dataset: sounds, encoder: audio, captioner: captions, hold_out: 0.25}
  - {dataset: sounds, encoder: audio, captioner: captions}
retrievers:
  oracle: {kind: oracle, tasks: "*+25added"}
  dual:   {kind: dual_tower, index: exact}
  tuned:  {kind: dual_tuned, steps: 2, batch: 8, tasks: "*+25added"}
  cart:   {kind: cart, start: tuned, steps: 2, batch: 8, clusters: 4, codes: 4, width: 48, tasks: "*+25added"}
  fixed:  {kind: cart, steps: 2, batch: 8, clusters: 4, codes: 4, width: 48, geometry: centroid, tasks: "*+25added"}
  both:   {kind: rerank, first: dual, n: 8, tasks: "*+25added"}
"""
GROWN = "sounds/test/text-audio+25added"


def written(tmp_path: Path, text: str = SUITE) -> Path:
    path = tmp_path / "growing.yaml"
    path.write_text(text)
    return path


# -- what is asked ----------------------------------------------------------------------------------------------------


def test_both_kinds_of_a_task_stand_in_one_suite(tmp_path: Path) -> None:
    suite = load(written(tmp_path))
    assert [task.name for task in suite.tasks] == [GROWN, "sounds/test/text-audio"]
    dual, plain = (
        next(c for c in suite.cells() if c.task is task and c.retriever.name == "dual") for task in suite.tasks
    )
    assert suite.key(dual) != suite.key(plain)
    less = replace(dual, task=replace(dual.task, hold_out=0.2))
    assert suite.key(less) != suite.key(dual)
    assert suite.key(replace(dual, task=replace(dual.task, hold_out=0.0))) == suite.key(plain), (
        "as before there was any"
    )


@pytest.mark.parametrize("share", ["1", "-0.1", "1.5", "half", "true"])
def test_a_share_that_can_not_be_is_refused(tmp_path: Path, share: str) -> None:
    with pytest.raises(SuiteError, match="hold_out"):
        load(written(tmp_path, SUITE.replace("0.25", share)))


@pytest.mark.parametrize(("share", "added"), [(0.0, 0), (0.01, 1), (0.3, 4), (0.99, 11)])
def test_the_last_of_the_shuffled_gallery_come_later(share: float, added: int) -> None:
    task = open_task("t", Numbers(12, 30), "test", "text-audio", share)
    count = len(task.gallery)
    assert count == 12 and task.added == added == len(task.later)
    together = np.concatenate([task.indexed.positions, task.later.positions])
    assert np.array_equal(together, task.gallery.positions)
    whole = open_task("t", Numbers(12, 30), "test", "text-audio")
    assert whole.digest == task.digest, "who matches whom is the same question"
    assert task.page()["added"] == added


# -- how it is scored -------------------------------------------------------------------------------------------------


def test_queries_are_told_apart_by_the_age_of_their_positives() -> None:
    links = Links(np.array([0, 1, 2, 4, 6, 7]), np.array([0, 3, 1, 4, 3, 4, 2]))  # the third has both, so no age
    ids = np.array([[0, 1], [0, 3], [4, 1], [0, 4], [0, 1]])
    found = score(ids, links, np.arange(5), [1, 2], gallery=5, added=2)
    values = {name: found[name]["value"] for name in found if "hit@" in name}
    assert values == {
        "hit@1": 2 / 5,
        "old hit@1": 1 / 2,
        "added hit@1": 0.0,
        "hit@2": 4 / 5,
        "old hit@2": 1 / 2,
        "added hit@2": 1.0,
    }
    assert found["old hit@1"]["low"] < 1 / 2 < found["old hit@1"]["high"]
    seeds = score(np.stack([ids, ids]), links, np.arange(5), [1], gallery=5, added=2)
    assert seeds["old hit@1"]["value"] == 1 / 2
    assert not any("old" in name for name in score(ids, links, np.arange(5), [1], gallery=5))


# -- a whole run ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Session, Outcome]:
    folder = tmp_path_factory.mktemp("growing")
    suite = load(written(folder))
    session = Session("s", suite, RunFolder(folder / "out"), Store(folder / "cache"), folder, describe())
    return session, run(session)


def records(session: Session) -> dict[str, Any]:
    return {f"{r['task']} {r['retriever']} {r['seed']}": r for r in session.folder.records()}


def test_who_can_add_is_measured_on_both_and_who_can_not_says_why(runs: tuple[Session, Outcome]) -> None:
    session, outcome = runs
    found = records(session)
    assert outcome.failed == 0 and outcome.unavailable == 2 and outcome.broken == ()
    refused = found[f"{GROWN} fixed 0"]
    assert refused["status"] == "unavailable"
    assert refused["reason"].startswith("cart: ") and "index the gallery again" in refused["reason"]
    for name in ("oracle", "dual", "tuned", "cart", "both"):
        grown = found[f"{GROWN} {name} 0"]
        assert 0 <= grown["cost"]["add_s"] < 60, "told apart from what the index cost"
        assert grown["status"] == "ok" and grown["data"]["items"] == 20 and grown["data"]["added"] == 5
        assert {"old hit@1", "added hit@1", "old hit@5", "added hit@5"} <= grown["metrics"].keys()
    oracle = found[f"{GROWN} oracle 0"]["metrics"]
    assert oracle["old hit@1"]["value"] == oracle["added hit@1"]["value"] == 1.0
    plain = found["sounds/test/text-audio dual 0"]
    assert "add_s" not in plain["cost"]
    assert "added" not in plain["data"] and not any("added" in name for name in plain["metrics"])


def test_the_kept_index_is_the_grown_one(runs: tuple[Session, Outcome]) -> None:
    """All answers are among 20, not 15; and the plain tower is none the worse for having been added to."""
    session, _ = runs
    found = records(session)
    assert (
        found[f"{GROWN} dual 0"]["cost"]["index_bytes"] == found["sounds/test/text-audio dual 0"]["cost"]["index_bytes"]
    )
    grown, plain = (session.folder.read_ranking(f"sounds_test_text-audio{held}.dual.0") for held in ("+25added", ""))
    assert np.array_equal(grown[2], plain[2])
    assert np.allclose(grown[1], plain[1], atol=1e-5), "as near to each query as before, whatever order ties come in"
    assert found[f"{GROWN} cart 0"]["details"]["identifiers"]["candidates"] == 20
    answers = {
        name: np.sort(session.folder.read_ranking(f"sounds_test_text-audio+25added.{name}.0")[0], axis=1)
        for name in ("dual", "cart", "both")
    }
    assert (answers["dual"] == np.arange(20)).all() and (answers["cart"] == np.arange(20)).all()
    assert (answers["both"][:, -8:] >= 0).all() and (answers["both"] >= 15).any(), "the eight that the first proposed"


def test_what_an_encoder_says_of_its_training_stands_beside_what_the_retriever_says(
    runs: tuple[Session, Outcome],
) -> None:
    found = records(runs[0])
    assert "details" not in found[f"{GROWN} oracle 0"], "it uses no encoder"
    for name in (f"{GROWN} dual 0", f"{GROWN} cart 1"):
        assert {"shape": "4 s", "items": 24, "cut": 0, "steps": 3}.items() <= found[name]["details"]["encoder"].items()
    assert "identifiers" in found[f"{GROWN} cart 1"]["details"]


def test_what_a_contestant_indexed_is_told_by_its_artifact(runs: tuple[Session, Outcome]) -> None:
    session, _ = runs
    duals = {
        record["task"]: record["cost"]["artifacts"]["retriever dual"]["digest"]
        for record in records(session).values()
        if record["retriever"] == "dual" and record["seed"] == 0
    }
    assert len(set(duals.values())) == 2
    reused = run(replace(session, id="again"))
    assert reused.reused == len(session.suite.cells()) - reused.unavailable


def test_a_start_inside_and_the_same_retriever_outside_are_trained_once(runs: tuple[Session, Outcome]) -> None:
    session, _ = runs
    manifests = [json.loads(path.read_bytes()) for path in (session.store.root / "retriever").glob("*/manifest.json")]
    for seed in session.suite.seeds:
        made = [each for each in manifests if each["config"]["seed"] == seed]
        tuned = [each for each in made if each["config"]["about"]["kind"] == "dual_tuned"]
        indexed, grown = sorted(tuned, key=lambda each: "added" in each["config"])
        started = [each["config"]["start"] for each in made if "start" in each["config"]]
        assert started == [indexed["digest"]] * 2, "before it is added to, and after"
        cost = records(session)[f"{GROWN} tuned {seed}"]["cost"]
        booked = [grown, *grown["used"].values()]
        assert indexed["digest"] in grown["used"] and "index" in indexed["seconds"]
        for phase in ("index", "add"):
            assert cost[f"{phase}_s"] == pytest.approx(sum(each["seconds"].get(phase, 0) for each in booked))
        for name, each in (("retriever tuned", indexed), ("retriever tuned +5 added", grown)):
            assert cost["artifacts"][name]["digest"] == each["digest"]


def test_tables_show_both_where_there_are_both(runs: tuple[Session, Outcome]) -> None:
    """Over two seeds, too, for which all is scored anew from the rankings."""
    session, _ = runs
    rows = report.write(session.folder, "growing", session.folder.records()).rows
    markdown = (session.folder.root / "tables" / "main.md").read_text()
    grown, plain = markdown.split("## sounds/test/text-audio\n")
    assert "| old hit@1 % | added hit@1 % | old hit@5 % | added hit@5 % |" in grown
    assert "5 of the candidates added when the others were indexed" in grown
    assert "| index s | add s |" in grown and "| add s |" not in plain
    assert "added hit" not in plain and "old hit" not in plain
    oracle = next(row for row in rows if row.retriever == "oracle")
    assert len(oracle.seeds) == 2 and oracle.metrics["added hit@1"]["value"] == 1.0
    heads = (session.folder.root / "tables" / "main.csv").read_text().splitlines()[0].split(",")
    assert {"old hit@1", "added hit@1 low", "added hit@5 high"} <= set(heads)
    shown = io.StringIO()
    report.show(rows, report.cutoffs(session.folder.records()), None, shown)
    assert "added hit@1 %" in shown.getvalue() and "added hit@5 %" not in shown.getvalue()

"""The gate: 0 where nothing changed, 1 where something got worse, 3 where it can not be told, 2 where a file rots."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.check import frozen, reference
from harness.check.compare import MARGIN, compare, judge
from harness.check.verdict import Verdict, exit_code, junit, markdown
from harness.cli import main
from harness.contract.problems import BadInput
from harness.contract.retriever import Ranking
from harness.contract.store import Recipe
from harness.machine import files
from harness.score import statistics
from harness.store import record
from harness.store.artifacts import Store
from harness.store.run_folder import RunFolder, cell_name

TASK, ITEMS, K = "sounds/test/text-audio", 200, 10
FIRST = Path(__file__).parents[1] / "fixtures" / "record-v1.json"


def made(root: Path, right: int = 120, **changes: Any) -> RunFolder:
    """A run of two retrievers, each asked once about every item; `right` of `dual`'s answers are right."""
    folder, queries = RunFolder(root), np.arange(ITEMS)
    page = {"digest": "these", "positives": [[item] for item in range(ITEMS)], "cluster": list(range(ITEMS))}
    names = [f"clip {item}" for item in range(ITEMS)]
    files.write(folder.task_path(TASK), files.pack_json({**page, "candidates": {"names": names}}))
    files.write(root / "suite.yaml", b"name: gate\n")
    for retriever, hits in (("dual", right), ("cart", 100)):
        first = np.where(queries < hits, queries, (queries + 50) % ITEMS)
        ids = np.stack([first, *((first + step) % ITEMS for step in range(1, K))], axis=1)
        scores = np.tile(np.linspace(1, 0.1, K, dtype=np.float32), (ITEMS, 1))
        found: Any = record.load(FIRST)
        found |= {"task": TASK, "retriever": retriever, "seed": 0, "status": "ok", "counts": {"products": 40_000}}
        found |= {"metrics": {f"hit@{k}": {"value": None, "low": None, "high": None} for k in (1, 5, K)}}
        found["data"] |= {"digest": "these", "items": ITEMS, "queries": ITEMS}
        found |= changes if retriever == "dual" else {}
        name = cell_name(TASK, retriever, 0)
        found["rankings"] = folder.write_ranking(name, Ranking(ids, scores), queries)
        record.save(folder.record_path(name), found)
    return folder


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A reference."""
    reference.write_reference(made(tmp_path / "old"), tmp_path / "reference")
    return tmp_path / "reference"


@pytest.fixture
def learnt(tmp_path: Path) -> Path:
    """A reference with an encoder and an index frozen, of a run that used other artifacts, too."""
    run, store = made(tmp_path / "old"), Store(tmp_path / "cache")
    used = {}
    for kind, config in (
        ("encoder", {}),
        ("retriever", {"about": {"kind": "cart"}}),
        ("retriever", {"about": {"kind": "dual_tower"}}),
        ("features", {}),
    ):
        artifact = store.make(Recipe(kind, "x", config), lambda folder: files.write(folder / "weights", b"12"))
        used[f"{kind} x {len(used)}"] = {
            "s": 0.0,
            "peak_mb": None,
            "phase": "fit",
            "digest": artifact.manifest["digest"],
        }
    path = run.record_path(cell_name(TASK, "dual", 0))
    found: Any = record.load(path)
    found["cost"]["artifacts"] = used
    record.save(path, found)
    reference.write_reference(run, tmp_path / "learnt", store.root, ["cart"])
    return tmp_path / "learnt"


def check(run: RunFolder, kept: Path, *more: object) -> int:
    return main(["check", str(run.root), "--against", str(kept), *map(str, more)])


def test_nothing_changed(tmp_path: Path, kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(made(tmp_path / "new"), kept) == 0
    told = capsys.readouterr().out
    assert "fine: 6 fine" in told and "the answers to 200 queries are those of the reference" in told


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"counts": {"products": 44_000}}, "products 44,000 instead of 40,000 (+10.0 %)"),
        ({"counts": {}}, "products nothing instead of 40,000"),
        ({"cost": "index_bytes"}, "index_bytes"),
        ({"metrics": {"hit@1": {"value": 0.6}, "hit@10": {"value": 0.6}}}, "have hit@1 0.6 instead of None"),
        ({"right": 119}, "1 of 200 queries are answered otherwise"),
        ({"details": {"identifiers": {"digest": "other"}}}, "identifiers: digest other instead of nothing"),
        ({"status": "failed", "reason": "Traceback\nValueError: no such index"}, "failed: ValueError: no such index"),
    ],
)
def test_what_is_exact(
    tmp_path: Path, kept: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: str
) -> None:
    if "cost" in changes:
        changes = {"cost": {**record.load(FIRST)["cost"], "index_bytes": 1}}  # type: ignore[dict-item]
    assert check(made(tmp_path / "new", **changes), kept) == 1
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key": "other"}, "configured otherwise"),
        ({"key": "other", "sources": {"ours.py": "1"}, "config": {"beams": 2}}, "configured otherwise"),
        ({"status": "unavailable", "reason": "pip install it"}, "unavailable: pip install it"),
        ({"data": {**record.load(FIRST)["data"], "digest": "others"}}, "it isn't in the run"),  # type: ignore[dict-item]
    ],
)
def test_what_can_not_be_told(
    tmp_path: Path, kept: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: str
) -> None:
    run = made(tmp_path / "new", **changes)
    assert check(run, kept) == 3
    assert words in capsys.readouterr().out
    assert check(run, kept, "--inconclusive", "ok") == 0


def test_near_ties_may_swap_places_and_more_so_elsewhere(tmp_path: Path, kept: Path) -> None:
    for nudge, platform, expected in (
        (1e-6, {}, 0),
        (2e-4, {}, 1),
        (2e-4, {"compute": {"gflops": 7}}, 1),
        (2e-4, {"processor": "another"}, 0),
    ):
        run = made(tmp_path / "old")
        name = cell_name(TASK, "dual", 0)
        ids, scores, queries = run.read_ranking(name)
        scores[:, 1] = scores[:, 0] - nudge
        shutil.rmtree(kept)
        _answered(run, name, ids, scores, queries)
        reference.write_reference(run, kept)
        ids[:, [0, 1]] = ids[:, [1, 0]]
        new = made(tmp_path / "new", environment={**record.load(FIRST)["environment"], **platform})
        _answered(new, name, ids, scores, queries)
        verdicts = {each.tier for each in _verdicts(kept, new) if each.state == "regression" and each.tier == "exact"}
        assert bool(verdicts) == bool(expected), (nudge, platform)


def _answered(run: RunFolder, name: str, ids: Any, scores: Any, queries: Any) -> None:
    found: Any = record.load(run.record_path(name))
    found["rankings"] = run.write_ranking(name, Ranking(ids, scores), queries)
    record.save(run.record_path(name), found)


def _verdicts(kept: Path, run: RunFolder) -> list[Verdict]:
    return list(compare(reference.open_reference(kept), run))


def test_what_failed_is_no_reference(tmp_path: Path) -> None:
    crashed = made(tmp_path / "crashed", status="failed", reason="Traceback\nRuntimeError: my index is gone")
    with pytest.raises(
        BadInput, match=r"dual · seed 0 failed: RuntimeError: my index is gone; expected cells that work"
    ):
        reference.write_reference(crashed, tmp_path / "reference")
    assert not (tmp_path / "reference").exists()
    broken = made(tmp_path / "broken")
    broken.write_journal({"suite": "gate", "cells": [], "sessions": [{"id": "1", "broken": ["oracle is at 90 %"]}]})
    with pytest.raises(BadInput, match="oracle is at 90 %"):
        reference.write_reference(broken, tmp_path / "reference")


def test_nothing_follows_from_a_reference_that_failed(tmp_path: Path) -> None:
    crashed = made(tmp_path / "crashed", status="failed", reason="gone")
    states = {each.cell: each.state for each in compare(crashed, made(tmp_path / "new")) if each.tier == "exact"}
    assert [state for cell, state in states.items() if "dual" in cell] == ["inconclusive"]


def test_recall_is_judged_by_its_interval(tmp_path: Path, kept: Path) -> None:
    for right, expected in (
        (120, "fine"),
        (121, "fine"),
        (119, "inconclusive"),
        (117, "inconclusive"),
        (90, "regression"),
    ):
        found = [
            each for each in _verdicts(kept, made(tmp_path / "new", right=right, key="other")) if "dual" in each.cell
        ]
        states = {each.words.partition(" ")[0]: each.state for each in found if each.tier == "recall"}
        assert states["hit@1"] == expected, right


def test_a_drop_of_one_point_on_a_thousand_queries_is_judged_as_its_interval_says() -> None:
    rng = np.random.default_rng(0)
    for lost, gained in ((10, 0), (30, 20), (60, 50), (100, 90)):
        was = rng.random(1000) < 0.6
        now = was.copy()
        now[rng.choice(np.flatnonzero(was), lost, replace=False)] = False
        now[rng.choice(np.flatnonzero(~was), gained, replace=False)] = True
        difference = statistics.paired_difference(now.astype(float), was.astype(float), np.arange(1000))
        assert difference.value == pytest.approx(-0.01)
        state, words = judge("hit@1", was.mean(), difference, 0.005, 1000)
        assert state == ("regression" if difference.high < 0 else "inconclusive"), words
        assert judge("hit@1", was.mean(), difference, 0.02, 1000)[0] == (
            "fine" if difference.low >= -0.02 else "inconclusive"
        )


def test_surely_worse_is_not_fine_where_a_larger_drop_is_not_ruled_out() -> None:
    for low, high, expected in (
        (-0.017, -0.001, "inconclusive"),
        (-0.010, -0.001, "fine"),
        (-0.017, 0.001, "inconclusive"),
    ):
        difference = statistics.Difference(-0.009, low, high, 0.05)
        assert judge("hit@1", 0.5, difference, 0.01, 1000)[0] == expected


@given(st.floats(-0.3, 0.3), st.floats(0, 0.2), st.floats(0, 0.1))
def test_fine_and_regression_exclude_each_other(value: float, half: float, margin: float) -> None:
    difference = statistics.Difference(value, value - half, value + half, 0.5)
    state, _ = judge("hit@1", 0.5, difference, margin, 100)
    if state == "regression":
        assert value + half < 0 and value < -margin
    if state == "fine":
        assert value - half >= -margin
    if state == "inconclusive":
        assert value - half < -margin


def test_edited_code_of_ones_own_is_what_the_gate_is_for(tmp_path: Path, kept: Path) -> None:
    assert check(made(tmp_path / "new", key="other", sources={"ours.py": "1"}), kept) == 0
    assert check(made(tmp_path / "new", key="other", sources={"ours.py": "1"}, counts={"products": 1}), kept) == 1


def test_what_is_learnt_stays_frozen(tmp_path: Path, learnt: Path) -> None:
    """An update with the answers of a run keeps it; a store that begins with it has it for use."""
    kinds = sorted(path.parent.parent.name for path in learnt.glob("store/*/*/manifest.json"))
    assert kinds == ["encoder", "retriever"]
    reference.write_reference(made(tmp_path / "new", right=90), learnt)
    reference.open_reference(learnt)
    frozen.thaw(learnt, tmp_path / "thawed")

    def build(folder: Path) -> None:
        raise AssertionError("it is made again")

    store = Store(tmp_path / "thawed")
    assert (store.make(Recipe("encoder", "x", {}), build).folder / "weights").read_bytes() == b"12"


def test_every_byte_of_a_reference_counts(kept: Path, learnt: Path) -> None:
    """Each is changed once; so is each file's end, and each file is taken away."""
    names, stored = (sorted(path for path in root.rglob("*") if path.is_file()) for root in (kept, learnt / "store"))
    assert (len(names), len(stored)) == (7, 4)
    rotten(kept, names)
    rotten(learnt, stored)
    (kept / "records" / "more.json").write_text("{}")
    with pytest.raises(reference.BadReference, match=r"more\.json is no part of it"):
        reference.open_reference(kept)


def rotten(kept: Path, names: list[Path]) -> None:
    for path in names:
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(reference.BadReference):
                reference.open_reference(kept)
        for shorter in (whole[:-1], whole[: len(whole) // 2], b"", whole + b"\n"):
            path.write_bytes(shorter)
            with pytest.raises(reference.BadReference):
                reference.open_reference(kept)
        path.unlink()
        with pytest.raises(reference.BadReference):
            reference.open_reference(kept)
        path.write_bytes(whole)
    reference.open_reference(kept)


def test_rot_ends_with_2_and_names_the_file(tmp_path: Path, kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made(tmp_path / "new")
    (kept / "suite.yaml").write_text("name: other\n")
    assert check(run, kept) == 2
    assert "suite.yaml was altered since the reference was written" in capsys.readouterr().err
    assert check(run, tmp_path) == 2
    assert check(RunFolder(tmp_path / "nowhere"), kept) == 2


def test_damage_to_the_run_is_never_fine(tmp_path: Path, kept: Path) -> None:
    for path in ("records/sounds_test_text-audio.dual.0.json", "rankings/sounds_test_text-audio.dual.0.npz"):
        run = made(tmp_path / "new")
        whole = (run.root / path).read_bytes()
        for place in range(0, len(whole), 97):
            (run.root / path).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert check(run, kept) == 3, place
        (run.root / path).write_bytes(whole)
        assert check(run, kept) == 0


def test_update_shows_what_differs_and_then_writes(
    tmp_path: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(tmp_path / "new", right=90)
    assert check(run, kept, "--update") == 0
    told = capsys.readouterr().out
    assert "30 of 200 queries are answered otherwise" in told and "regression" in told
    assert check(run, kept) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old", "reference"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    assert check(run, tmp_path / "mine", "--update") == 2
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_verdicts_as_markdown_and_as_xml(tmp_path: Path, kept: Path) -> None:
    files_asked = ("--markdown", tmp_path / "told.md", "--junit", tmp_path / "told.xml")
    assert check(made(tmp_path / "new", right=90), kept, *files_asked) == 1
    lines = (tmp_path / "told.md").read_text().splitlines()
    assert lines[0] == "# regression: 3 regression, 3 fine" and lines[4].startswith("| regression | ")
    suite = ElementTree.parse(tmp_path / "told.xml").getroot()
    assert suite.attrib["failures"] == "3" and len(suite) == 6
    odd = [Verdict('a|b"<&\x00', "exact", "regression", "x\x1by & <z>")]
    assert ElementTree.fromstring(junit(odd).encode())[0].attrib["name"] == 'a|b"<&\x00'.replace("\x00", "�")
    assert "a\\|b" in markdown(odd)


def test_no_verdict_is_no_pass() -> None:
    assert exit_code([]) == 3 and exit_code([], 0) == 3
    assert MARGIN == 0.01
    assert json.dumps(exit_code([Verdict("a", "exact", "fine", "")])) == "0"

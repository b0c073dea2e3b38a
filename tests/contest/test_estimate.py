"""How long a run will take: known from what was made, here or elsewhere; what was never made is said to be unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs import ROOT, TINY, harness

from harness.contest import costs
from harness.contest.costs import Cost, needs, seen, ship, stored
from harness.contest.estimate import Estimate, Part, estimate
from harness.suite import Suite, load

SEEDS = TINY.replace("k: [1, 5]", "k: [1, 5]\nseeds: [0, 1]")


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    (tmp_path / "tiny.yaml").write_text(TINY)
    return load(tmp_path / "tiny.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which all of the suite was made."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "tiny.yaml").write_text(TINY)
    done = harness(folder / "cache", "run", folder / "tiny.yaml", "--out", folder / "out", "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert "is not known yet" in done.stderr.partition("[1/2]")[0], "it begins with how long it will take"
    return folder / "cache"


def spent(cache: Path) -> float:
    manifests = [json.loads(path.read_bytes()) for path in cache.glob("*/*/manifest.json")]
    return sum(sum(each["seconds"].values()) for each in manifests)


def test_of_what_was_never_made_nothing_is_known(suite: Suite, tmp_path: Path) -> None:
    found = estimate(suite, suite.cells(), tmp_path / "cache", 50.0)
    assert found.seconds == 0 and len(found.unknown) == 6  # encoders and retrievers
    assert "encoder audio" in found.sentence and "not known yet" in found.sentence


def test_what_is_stored_takes_no_time_and_anew_as_long_as_it_took(suite: Suite, made: Path) -> None:
    assert estimate(suite, suite.cells(), made, 50.0) == Estimate(())
    anew = estimate(suite, suite.cells(), made, None, fresh=True)
    assert anew.unknown == ()
    assert anew.seconds == pytest.approx(spent(made), rel=0.01), "each artifact once, whoever shares it"


def test_another_seed_takes_as_long(tmp_path: Path, made: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SEEDS)
    suite = load(tmp_path / "tiny.yaml")
    found = estimate(suite, suite.cells(), made, None)
    assert not found.unknown and 0 < found.seconds <= spent(made) * 1.01


def test_costs_from_elsewhere_are_scaled(
    suite: Suite, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ship([suite], made) == [], "nobody measured that machine"
    measured = {need: replace(known, gflops=60.0) for need, known in stored(made).items()}
    with monkeypatch.context() as patch:
        patch.setattr(costs, "stored", lambda cache: measured)
        shipped: list[dict[str, Any]] = ship([suite], made)
    assert {each["what"] for each in shipped} >= {"encoder audio", "encoder image", "retriever dual", "retriever hnsw"}
    (tmp_path / costs.FILE).write_text(json.dumps(shipped))
    same, slow = (estimate(suite, suite.cells(), tmp_path / "empty", speed) for speed in (60.0, 15.0))
    assert same.seconds == pytest.approx(spent(made), rel=0.01)
    assert slow.seconds == pytest.approx(2 * same.seconds), "by the root: not all of it is products"
    assert estimate(suite, suite.cells(), tmp_path / "empty", None).seconds > 0, "measured on the spot"
    other = replace(suite, path=tmp_path / "elsewhere" / "tiny.yaml")
    assert estimate(other, suite.cells(), tmp_path / "empty", 60.0).unknown


def test_a_fresh_machine_is_told_how_long_the_first_verdict_takes(tmp_path: Path) -> None:
    """`suites/costs.json` is of `audio.yaml` as it is now: who changes its lessons measures them anew."""
    suite = load(ROOT / "suites" / "audio.yaml").select("soundscapes/*")
    found = estimate(suite, suite.cells(), tmp_path, 100.0)
    assert found.unknown == () and 60 < found.seconds < 1200


def test_a_retriever_with_another_encoder_is_another_one(suite: Suite, made: Path) -> None:
    dual = [cell for cell in suite.cells() if cell.retriever.name == "dual"]
    ours = {need for cell in dual for need, _, _ in needs(cell) if need.encoder}
    assert len(ours) == 2 and ours <= stored(made).keys()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "encoder"}', '{"seconds": 3, "config": {"component": 1}}'])
def test_rubbish_counts_as_nothing(suite: Suite, tmp_path: Path, text: str) -> None:
    folder = tmp_path / "cache/encoder/some"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(text)
    (tmp_path / costs.FILE).write_text(text)
    assert len(estimate(suite, suite.cells(), tmp_path / "cache", 50.0).unknown) == 6


def test_time_memory_and_disk_are_told_part_by_part() -> None:
    parts = (
        Part("encoder clap", Cost(130, 615.2, 3.1), "by its size"),
        Part("retriever cart", Cost(5 * 3600, 20_480, None), "as another of its kind"),
        Part("retriever dual", Cost(0.5), "as before"),
        Part("retriever odd", None, "not known yet"),
    )
    assert list(Estimate(parts).lines()) == [
        "  to be made         time   memory  on disk",
        "  encoder clap      2 min   615 MB     3 MB  by its size",
        "  retriever cart    5.0 h  20.5 GB        ?  as another of its kind",
        "  1 others            0 s",
    ]
    assert Estimate(parts).sentence.endswith("how long it takes to make retriever odd is not known yet")
    assert list(Estimate(parts[2:]).lines()) == []


@pytest.mark.parametrize(
    ("config", "texts"),
    [
        ({"steps": 100, "batch": 512}, 51_200),
        ({"steps": 100, "items": 16, "texts": 4}, 6_400),
        ({"steps": 7, "batch": 10, "tune": {"lr": [0.1, 0.2, 0.3], "steps": [0, 20, 40]}}, 1_200),
        ({"index": "HNSW32", "tune": {"recall": 0.99}}, None),
        ({"index": "exact", "tune": None}, None),
    ],
)
def test_what_training_sees(config: dict[str, Any], texts: float | None) -> None:
    assert seen(config) == texts


def test_a_longer_lesson_is_judged_by_a_shorter_one(tmp_path: Path, made: Path) -> None:
    def seconds(steps: int) -> float:
        (tmp_path / "tiny.yaml").write_text(TINY.replace("steps: 3,", f"steps: {steps}, lr: 0.002,"))
        suite = load(tmp_path / "tiny.yaml")
        found = {part.label: part for part in estimate(suite, suite.cells(), made, None).parts}["encoder audio"]
        assert found.basis == "as another of its kind" and found.cost
        return found.cost.seconds

    assert seconds(30) == pytest.approx(10 * seconds(3))

"""The suites for recorded datasets, the very files, run whole: on a few items in official layouts and tiny checkpoints
under the hub's names. All learning is one small step, and two rounds are timed; their generated datasets run elsewhere.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import recorded_sets
import tiny_hub
from runs import ROOT, records

from harness.cli import main
from harness.contest.checks import check
from harness.contract.settings import Settings
from harness.machine import compute
from harness.suite import load
from harness.suite.spec import Component

RECORDED = {"image": ("coco", "flickr30k"), "audio": ("audiocaps", "clotho"), "video": ("msrvtt", "msvd")}
WEIGHTS = {
    "image": ("openai/clip-vit-base-patch32", "google/siglip-base-patch16-224", "Salesforce/blip-itm-base-coco"),
    "audio": ("laion/clap-htsat-unfused",),
    "video": ("openai/clip-vit-base-patch32", "Salesforce/blip-itm-base-coco"),
}
PIECES = [(suite, piece) for suite in RECORDED for piece in (*RECORDED[suite], *WEIGHTS[suite], "google-t5/t5-small")]
AT_MOST = {"steps": 1, "batch": 16, "samples": 3, "teacher_texts": 40}
TIMED = {"offline": {"rounds": 2, "cap_s": 0.2, "processes": 1}, "single": {"queries": 2, "cap_s": 0.2}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recorded")
    recorded_sets.write_all(root / "data")
    tiny_hub.fill(root / "hub", root / "made")
    return root


@pytest.fixture(autouse=True)
def there(world: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_CACHE", str(world / "hub"))
    monkeypatch.setenv("HARNESS_CACHE", str(world / "cache"))
    monkeypatch.setenv("HARNESS_TABLES", "text")  # plots of so many tasks take long
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(world / "hub"))
    written = Component.settings.func  # type: ignore[attr-defined]
    monkeypatch.setattr(Component, "settings", property(lambda component: smaller(written(component))))
    monkeypatch.setattr("harness.suite.load", lambda path: replace(load(path), scenarios=TIMED))
    yield
    compute.configure("cpu", 1)


def smaller(settings: Settings) -> Settings:
    """The same, with little to learn."""
    less = {key: most for key, most in AT_MOST.items() if getattr(settings, key, 0) > most}
    tries = getattr(settings, "tune", {})
    if "steps" in tries:
        less["tune"] = {**tries, "steps": sorted({min(steps, AT_MOST["steps"]) for steps in tries["steps"]})}
    return settings.model_copy(update=less)


def path(suite: str) -> Path:
    return ROOT / "suites" / f"{suite}.yaml"


def absent(reason: str) -> bool:
    """Whether it is for want of a package that `make test` leaves out."""
    packages = ("open_clip", "laion_clap")
    return any(f"needs the package {each}" in reason for each in packages if not importlib.util.find_spec(each))


@pytest.mark.parametrize("suite", list(RECORDED))
def test_the_suite_runs_whole(suite: str, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = ",".join(f"{name}*/*" for name in RECORDED[suite])
    out = world / "runs" / suite
    choices = "threads=1,bf16_training=yes"  # text sides learn in half precision where that is fast
    done = main(
        [
            "run",
            str(path(suite)),
            "--only",
            only,
            "--out",
            str(out),
            "--data",
            str(world / "data"),
            "--compute",
            choices,
        ]
    )
    found = records(out)
    told = {name: each["reason"] for name, each in found.items() if each["status"] != "ok"}
    assert not {name: reason for name, reason in told.items() if not absent(reason)}
    assert done == 0 and {each["task"].partition("/")[0].split("-")[0] for each in found.values()} == {*RECORDED[suite]}
    assert "not here: package" in capsys.readouterr().err or not told


@pytest.mark.parametrize(("suite", "piece"), PIECES)
def test_a_piece_that_is_missing_is_named_and_the_rest_runs(
    suite: str, piece: str, world: Path, tmp_path: Path
) -> None:
    at = world / "data" / piece if "/" not in piece else world / "hub" / f"models--{piece.replace('/', '--')}"
    shutil.move(at, tmp_path / "away")
    try:
        chosen = load(path(suite))
        found = check(chosen, world / "data")
    finally:
        shutil.move(tmp_path / "away", at)
    named = {each.name for each in found.missing if each.sort != "package"}
    assert named == {piece}
    cells = chosen.cells()
    lost = [cell for cell in cells if any(part.digest in found.unavailable for part in cell.parts())]
    assert lost and len(lost) < len(cells)
    assert not found.wrong and not found.fails


def test_what_is_missing_costs_its_own_cells_alone(world: Path, tmp_path: Path) -> None:
    at = world / "hub" / "models--Salesforce--blip-itm-base-coco"
    shutil.move(at, tmp_path / "away")
    try:
        only = ",".join(f"msvd/test/text-video.{name}*" for name in ("oracle", "blip", "clip-blip", "dual-exact"))
        out = tmp_path / "out"
        options = ["--out", str(out), "--data", str(world / "data"), "--compute", "default"]
        done = main(["run", str(path("video")), "--only", only, *options])
    finally:
        shutil.move(tmp_path / "away", at)
    states = {name.split(".")[-2]: each["status"] for name, each in records(out).items() if "text-video" in name}
    assert done == 0
    assert states == {"oracle": "ok", "dual-exact": "ok", "blip": "unavailable", "clip-blip": "unavailable"}

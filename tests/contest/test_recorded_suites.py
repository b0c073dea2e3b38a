"""The suites for recorded datasets, their files copied, run whole: on a few items in official layouts and tiny
checkpoints under the names that suites have. All learning is one small step, and two rounds are timed; their generated
datasets run elsewhere. Rows of packages that are left out run where these are: make test-clip, make test-clap.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import recorded_sets
import tiny_checkpoints
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
LAION = "../models/630k-audioset-best.pt"  # seen from the suites' folder
EXTRA = {  # a package that `make test` leaves out, the suite and the row that want it, and its weights
    "open_clip": ("image", "open-clip-exact", *tiny_hub.OPEN_CLIP),
    "laion_clap": ("audio", "laion-exact", LAION),
}
PIECES = [(suite, piece) for suite in RECORDED for piece in (*RECORDED[suite], *WEIGHTS[suite], "google-t5/t5-small")]
PIECES += [(suite, piece) for package, (suite, _, piece) in EXTRA.items() if tiny_hub.here(package)]
AT_MOST = {"steps": 1, "batch": 16, "samples": 3, "teacher_texts": 40}
TIMED = {"offline": {"rounds": 2, "cap_s": 0.2, "processes": 1}, "single": {"queries": 2, "cap_s": 0.2}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recorded")
    shutil.copytree(ROOT / "suites", root / "suites")
    recorded_sets.write_all(root / "data")
    tiny_hub.fill(root / "hub")
    if tiny_hub.here("laion_clap"):
        write_laion(root)
    return root


def write_laion(root: Path) -> None:
    """The package reads the hub's cache as soon as it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(root / "hub"))
        import laion_clap

        model = laion_clap.CLAP_Module(enable_fusion=False, device="cpu", amodel="HTSAT-tiny").model
    (root / "models").mkdir()
    tiny_checkpoints.laion_clap(root / "suites" / LAION, model)


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


def path(suite: str, world: Path) -> Path:
    return world / "suites" / f"{suite}.yaml"


def absent(suite: str) -> dict[str, str]:
    """The rows for which this environment lacks the package, with the words that say so."""
    wanted = {row: package for package, (where, row, _) in EXTRA.items() if where == suite}
    return {row: f"{each} needs the package {each}" for row, each in wanted.items() if not tiny_hub.here(each)}


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("suite", list(RECORDED))
def test_the_suite_runs_whole(suite: str, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = ",".join(f"{name}*/*" for name in RECORDED[suite])
    out = world / "runs" / suite
    choices = "threads=1,bf16_training=yes"  # text sides learn in half precision where that is fast
    done = main(
        [
            "run",
            str(path(suite, world)),
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
    found = list(records(out).values())
    told = [(each["retriever"], each["reason"]) for each in found if each["status"] != "ok"]
    lacking = absent(suite)
    assert not [(row, reason) for row, reason in told if row not in lacking or not reason.startswith(lacking[row])]
    assert done == 0 and {each["task"].partition("/")[0].split("-")[0] for each in found} == {*RECORDED[suite]}
    assert {row for where, row, _ in EXTRA.values() if where == suite} <= {each["retriever"] for each in found}
    assert ("not here: package" in capsys.readouterr().err) == bool(lacking)


def place(world: Path, piece: str) -> Path:
    """Of a dataset, a checkpoint of the hub, or a file that the suite names."""
    if piece == LAION:
        return world / "suites" / piece
    return world / "hub" / f"models--{piece.replace('/', '--')}" if "/" in piece else world / "data" / piece


@pytest.mark.parametrize(("suite", "piece"), PIECES)
def test_a_piece_that_is_missing_is_named_and_the_rest_runs(
    suite: str, piece: str, world: Path, tmp_path: Path
) -> None:
    at = place(world, piece)
    shutil.move(at, tmp_path / "away")
    try:
        chosen = load(path(suite, world))
        found = check(chosen, world / "data")
    finally:
        shutil.move(tmp_path / "away", at)
    (named,) = {each.name for each in found.missing if each.sort != "package"}
    assert named == (str(world / "suites" / piece) if piece == LAION else piece)
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
        done = main(["run", str(path("video", world)), "--only", only, *options])
    finally:
        shutil.move(tmp_path / "away", at)
    states = {name.split(".")[-2]: each["status"] for name, each in records(out).items() if "text-video" in name}
    assert done == 0
    assert states == {"oracle": "ok", "dual-exact": "ok", "blip": "unavailable", "clip-blip": "unavailable"}

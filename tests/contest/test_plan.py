"""The plan: what it says of a cell is what a run would make of it, whatever lies in the cache and the run's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runs import TINY

from harness.contest.checks import check
from harness.contest.plan import show
from harness.suite import Suite, load


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return load(path)


def plan(suite: Suite, folder: Path, data: Path | None = None) -> list[str]:
    return list(show(suite, check(suite, data or folder), folder / "out", folder / "cache"))


def write_manifest(suite: Suite, cache: Path, seconds: object, name: str = "audio", **more: object) -> None:
    encoder = next(task.encoder for task in suite.tasks if task.encoder and task.encoder.name == name)
    manifest = {"kind": "encoder", "label": name, "digest": name * 10, "seconds": seconds, "used": {}, "made": {}}
    manifest["config"] = {"component": encoder.digest, "seed": 0}
    folder = cache / "encoder" / (name * 10)[:40]
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest | more))


def test_what_is_in_the_store_is_told_with_what_it_took(suite: Suite, tmp_path: Path) -> None:
    write_manifest(suite, tmp_path / "cache", {"fit": 120.4, "index": 3.0})
    assert "needs encoder audio, seed 0: in the store (it took 123 s)" in plan(suite, tmp_path)
    assert "needs encoder image, seed 0: to be made" in plan(suite, tmp_path)


@pytest.mark.parametrize("seconds", [None, [1], 7, {"fit": "long"}])
def test_a_manifest_of_rubbish_counts_as_none(suite: Suite, tmp_path: Path, seconds: object) -> None:
    write_manifest(suite, tmp_path / "cache", seconds)
    assert "needs encoder audio, seed 0: to be made" in plan(suite, tmp_path)


@pytest.mark.parametrize("text", ["rubbish", "[]", "{}"])
def test_records_of_rubbish_are_to_do(suite: Suite, tmp_path: Path, text: str) -> None:
    path = tmp_path / "out/records" / f"{suite.cells()[0].file}.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert "0 done, 8 to do, 0 unavailable" in plan(suite, tmp_path)


def test_who_can_not_be_asked_in_a_medium_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    text = TINY.replace("{dataset: sounds, encoder: audio}", "{dataset: sounds, encoder: audio, direction: audio-text}")
    text = text.replace("encoder: audio, direction", "encoder: audio, captioner: captions, direction")
    text = text.replace("encoder: image}", "encoder: image, captioner: viewer}")
    told = "{kind: small, encoder: audio}, viewer: {kind: small, encoder: image}"
    path.write_text(f"{text}  match: {{kind: caption_match}}\ncaptioners: {{captions: {told}}}\n")
    lines = [" ".join(line.split()) for line in plan(load(path), tmp_path)]
    assert "match unavailable: it can't be asked in audio" in lines
    assert "match to do" in lines
    assert "0 done, 9 to do, 1 unavailable" in lines


def test_a_data_folder_that_can_not_be_looked_into_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("name: real\ntasks: [{dataset: clotho}]\nretrievers: {random: {kind: random}}\n")
    lines = plan(load(path), tmp_path, tmp_path / ("x" * 300))
    assert any("nothing at" in line for line in lines)
    told = lines[lines.index("0 done, 0 to do, 1 unavailable") :]
    assert told[1] == "not here, and what brings it:" and any("Zenodo" in line for line in told)

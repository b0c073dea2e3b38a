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


def write_manifest(suite: Suite, cache: Path, seconds: object, name: str = "audio", **more: object) -> Path:
    encoder = next(task.encoder for task in suite.tasks if task.encoder and task.encoder.name == name)
    manifest = {"kind": "encoder", "label": name, "digest": name * 10, "seconds": seconds, "used": {}, "made": {}}
    manifest["config"] = {"component": encoder.digest, "seed": 0, "about": encoder.config}
    folder = cache / "encoder" / (name * 10)[:40]
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest | more))
    return folder


def part(lines: list[str], label: str) -> list[str] | None:
    """What the plan says of a part: time, memory, disk and how it knows."""
    return next((line.split(maxsplit=8) for line in lines if line.strip().startswith(label)), None)


def test_what_is_in_the_store_is_not_to_be_made(suite: Suite, tmp_path: Path) -> None:
    assert part(plan(suite, tmp_path), "encoder audio") is None, "nothing is known of it"
    folder = write_manifest(suite, tmp_path / "cache", {"fit": 120.4, "index": 3.0}, peak_mb=1234.0)
    lines = plan(suite, tmp_path)
    assert part(lines, "encoder audio") is None and not any("encoder audio" in line for line in lines)
    twin = part(lines, "encoder image")  # never made, and trained for as many steps as its twin
    assert twin == ["encoder", "image", "2", "min", "1.2", "GB", "0", "MB", "as another of its kind"]
    folder.rename(folder.parent / "elsewhere")
    again = ["encoder", "audio", "2", "min", "1.2", "GB", "?", "as", "before"]
    assert part(plan(suite, tmp_path), "encoder audio") == again


@pytest.mark.parametrize("seconds", [None, [1], 7, {"fit": "long"}])
def test_a_manifest_of_rubbish_counts_as_none(suite: Suite, tmp_path: Path, seconds: object) -> None:
    write_manifest(suite, tmp_path / "cache", seconds)
    assert any("encoder audio, encoder image" in line and "is not known yet" in line for line in plan(suite, tmp_path))


CLAP = """
name: clap
k: [1]
encoders: {clap: {kind: clap, checkpoint: laion/clap-htsat-unfused}}
captioners: {words: {kind: prefix, encoder: clap, trained_on: clotho, steps: 9}}
tasks: [{dataset: clotho, encoder: clap, captioner: words}]
retrievers:
  dual: {kind: dual_tower}
"""


@pytest.mark.parametrize(("more", "splits"), [("", ["test"]), ("tuned: {kind: dual_tuned}", ["test", "train"])])
def test_what_recorded_sets_will_take_is_told_by_their_size(tmp_path: Path, more: str, splits: list[str]) -> None:
    """1,045 sounds and 5,225 texts: what learns from the train split needs its vectors too."""
    (tmp_path / "clap.yaml").write_text(f"{CLAP}  {more}\n")
    lines = plan(load(tmp_path / "clap.yaml"), tmp_path)
    found = [line.split() for line in lines[lines.index(next(x for x in lines if "once that is here" in x)) + 1 :]]
    assert [line[2] for line in found] == [f"clotho/{split}" for split in splits]
    assert found[0][-5:] == ["13", "MB", "by", "its", "size"] and found[0][6] in ("s", "min", "h"), found


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

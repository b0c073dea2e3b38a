"""What a plan finds out before anything is made: mistakes with their line, what is missing, what would fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hub import fetched
from runs import harness

from harness import cli
from harness.contest.checks import Findings, check
from harness.suite import load, registry

SUITE = """\
name: mine
datasets:
  clips: {kind: manifest, path: clips.csv, modality: audio, split: {test: 0.5}}
encoders:
  theirs: {kind: precomputed, media: media.npy, text: text.npy, split: test}
  hub: {kind: clap, checkpoint: org/name}
  folder: {kind: clap, checkpoint: /nowhere/at/all}
captioners:
  written: {kind: file, path: captions.jsonl}
tasks: [{dataset: clips, encoder: theirs, captioner: written}]
retrievers:
  random: {kind: random}
  dual: {kind: dual_tower}
  words: {kind: caption_match}
  hub: {kind: dual_tower, encoder: hub}
  folder: {kind: dual_tower, encoder: folder}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Everything that the suite names is there but for /nowhere/at/all."""
    (tmp_path / "suite.yaml").write_text(SUITE)
    (tmp_path / "clips.csv").write_text("path,caption\n" + "".join(f"{n}.wav,sound {n}\n" for n in range(6)))
    for number in range(6):
        soundfile.write(tmp_path / f"{number}.wav", np.zeros(100), 16_000)
    for name in ("media.npy", "text.npy"):
        np.save(tmp_path / name, np.ones((3, 4), np.float32))
    (tmp_path / "captions.jsonl").write_text("")
    return tmp_path


def reported(found: Findings) -> list[str]:
    return sorted([*found.unavailable.values(), *found.remarks.values(), *found.fails.values(), *map(str, found.wrong)])


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "hub"))
    return folder / "hub"


def checkpoint(folder: Path, *names: str) -> Path:
    (folder / "made").mkdir()
    for name in names:
        (folder / "made" / name).write_text("{}")
    return folder / "made"


def test_what_is_there_is_not_complained_of(folder: Path, hub: Path) -> None:
    fetched(hub, "org/name", checkpoint(folder, "config.json", "model.safetensors"))
    expected = ["clap: nothing at /nowhere/at/all (checkpoint); put it there, or correct the path"]
    assert reported(check(load(folder / "suite.yaml"), folder)) == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clips.csv", "manifest: nothing at {folder}/clips.csv (path)"),
        ("media.npy", "precomputed: nothing at {folder}/media.npy (media)"),
        ("captions.jsonl", "file: nothing at {folder}/captions.jsonl (path)"),
    ],
)
def test_a_file_that_is_missing_is_told_with_its_place(name: str, words: str, folder: Path) -> None:
    (folder / name).unlink()
    found = check(load(folder / "suite.yaml"), folder)
    assert any(each.startswith(words.format(folder=folder)) for each in found.unavailable.values())
    assert not found.wrong and not found.fails


@pytest.mark.parametrize(
    ("names", "lacks"),
    [
        (None, "is not on this machine"),
        (("model.safetensors",), "is here without its config.json"),
        (("config.json", "training_args.bin"), "is here without its weights"),
        (("config.json", "pytorch_model.bin"), None),
    ],
)
def test_a_checkpoint_is_looked_for_in_the_hubs_cache(
    names: tuple[str, ...] | None, lacks: str | None, folder: Path, hub: Path
) -> None:
    if names is not None:
        fetched(hub, "org/name", checkpoint(folder, *names))
    found = [each for each in check(load(folder / "suite.yaml"), folder).missing if each.sort == "weights"]
    assert [each.reason for each in found] == [
        f"clap: org/name (checkpoint) {lacks}; `python -m harness weights get org/name` fetches it where there is a "
        "network"
        for _ in [lacks]
        if lacks
    ]


@pytest.mark.parametrize("missing", [1, 6])
def test_media_are_looked_for(missing: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(missing):
        (folder / f"{number}.wav").unlink()
    (folder / "suite.yaml").write_text(SUITE.replace(", split: {test: 0.5}", ""))
    assert cli.main(["plan", str(folder / "suite.yaml"), "--only", "random", "--out", str(folder / "out")]) == 0
    said = capsys.readouterr().out
    assert f"clips: {missing} of 6 audio files of test are not there: {folder}/0.wav" in said
    assert f"{int(missing == 6)} unavailable" in said


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_mistake_in_the_annotations_is_bad_input(verb: str, folder: Path) -> None:
    with (folder / "clips.csv").open("a") as stream:
        stream.write("../outside.wav,words\n")
    done = harness(folder / "cache", verb, folder / "suite.yaml", "--only", "random", "--out", folder / "out")
    assert done.returncode == 2 and done.stderr.startswith(f"{folder}/clips.csv:8: "), done.stderr
    assert not (folder / "out").exists()


def small(arguments: Mapping[str, Any]) -> str | None:
    return None if arguments["index"] == "exact" else f"index {arguments['index']!r} is no string of ours; write exact"


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dual tower's arguments are looked at by `small`."""
    known = registry.kinds("retrievers")
    monkeypatch.setitem(known.entries, "dual_tower", replace(known["dual_tower"], check="test_checks:small"))


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_what_a_kind_says_against_its_arguments_is_bad_input(
    verb: str, checked: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "suite.yaml").write_text(
        "name: x\nencoders: {small: {kind: small, trained_on: soundscapes}}\n"
        "tasks: [{dataset: soundscapes, encoder: small}]\nretrievers:\n  exact: {kind: dual_tower}\n"
        "  odd: {kind: dual_tower, index: [exact, hnsw]}\n"
        "  deep: {kind: rerank, first: {kind: dual_tower, index: HNSW}, second: {kind: match}}\n"
    )
    assert cli.main([verb, str(tmp_path / "suite.yaml"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    first, second = said.err.splitlines()
    assert first.startswith(f"{tmp_path}/suite.yaml:6: retrievers.odd@index=hnsw: index 'hnsw' is no string of ours")
    assert ":7: " in second and "'HNSW'" in second
    assert not said.out and not (tmp_path / "out").exists()


def test_the_list_tells_what_each_argument_may_be(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, line in (
        ("dual_tuned", "text: one of 'tower', 'captioner'; default \"tower\""),
        ("dual_tuned", "steps: a whole number from 1 to 1,000,000; default 600"),
        ("dual_tuned", "lr: a number above 0 and at most 1; default 0.001"),
        ("small", "trained_on: the name of one of the datasets, or {kind: …}; required"),
        ("clip", "checkpoint: a path or a hub id; required"),
        ("precomputed", "media_names: a path; may be left out"),
        ("python", "paradigm: one of 'single-tower', 'dual-tower', 'generative', 'hybrid', 'control'; required"),
        ("python", "arguments: `name: value` pairs, each value anything; default {}"),
        ("cart", "needs encoder, captioner, start, store, scratch, seed"),
        ("cart", "its start must offer vectors tuned to the gallery: kind dual_tuned"),
    ):
        assert cli.main(["list", kind]) == 0
        assert any(each.strip().startswith(line) for each in capsys.readouterr().out.splitlines()), line


def test_the_list_is_one_screen_and_misspelt_kinds_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 50 and "retrievers, generative:" in lines
    assert cli.main(["list", "crat"]) == 2
    assert "did you mean 'cart'?" in capsys.readouterr().err

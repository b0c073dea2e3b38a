"""Nobody is asked what they were trained on; and what can't be learned from is nothing, where nobody has to learn."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from disk import AUDIOCAPS, HEADER, audiocaps, audiocaps_rows, clip4clip, lowered, real, touch, write
from runs import harness, records

from harness.contest.contamination import refuse_leaks
from harness.contract.dataset import Dataset, Unavailable
from harness.suite import Cell, Component, load

HEAD = "name: leak\nscenarios: {offline: {rounds: 1, cap_s: 5}}\n"
LEAK = f"""\
{HEAD}datasets:
  nine:  {{kind: msrvtt}}
  seven: {{kind: msrvtt, protocol: 1k-a-7k}}
  full:  {{kind: msrvtt, protocol: full}}
encoders:
  nine:  {{kind: small, trained_on: nine, steps: 1}}
  seven: {{kind: small, trained_on: seven, steps: 1}}
captioners: {{deep: {{kind: small, encoder: nine}}}}
tasks: [{{dataset: full}}]
retrievers:
  nine:  {{kind: dual_tower, encoder: nine}}
  deep:  {{kind: caption_match, encoder: seven, captioner: deep}}
  seven: {{kind: dual_tower, encoder: seven}}
  random: {{kind: random}}
"""


def cells_of(tmp_path: Path, text: str) -> dict[str, Cell]:
    (tmp_path / "suite.yaml").write_text(text)
    return {cell.retriever.name: cell for cell in load(tmp_path / "suite.yaml").cells()}


def test_who_was_trained_on_nine_thousand_is_not_scored_on_full(tmp_path: Path) -> None:
    clip4clip(tmp_path)
    cells = cells_of(tmp_path, LEAK)

    def opened(component: Component) -> Dataset:
        return component.entry.load("datasets")(component.settings, root=tmp_path)

    for name in ("nine", "deep"):
        with pytest.raises(Unavailable, match=r"nine, .* holds 2 of the 4 items of full/test \(video12, video14, …\)"):
            refuse_leaks(cells[name], opened)
    for name in ("seven", "random"):
        refuse_leaks(cells[name], opened)
    captioner = cells["deep"].captioner
    assert captioner is not None and {each.name for each in captioner.datasets} == {"nine"}


def test_a_run_refuses_the_leak_and_goes_on(tmp_path: Path) -> None:
    audiocaps(tmp_path / "data/audiocaps")
    rows = [lowered(row) for row in audiocaps_rows()["test"]]
    for part in ("train", "val"):  # somebody's v2, with clips of v1's test in it
        write(tmp_path / f"data/audiocaps/v2/{part}.csv", "\n".join([HEADER, *rows]))
    touch(tmp_path / "data/audiocaps/audio", [f"{name}.wav" for name in AUDIOCAPS["test"]])
    real(tmp_path / "data")
    cells = cells_of(
        tmp_path,
        f"{HEAD}datasets: {{other: {{kind: audiocaps, version: v2}}}}\n"
        "encoders: {e: {kind: small, trained_on: other, steps: 1}}\n"
        "tasks: [{dataset: audiocaps, encoder: e}]\n"
        "retrievers: {dual: {kind: dual_tower}, random: {kind: random}}\n",
    )
    done = harness(
        tmp_path / "cache", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out", "--data", tmp_path / "data"
    )
    found = records(tmp_path / "out")
    assert done.returncode == 0 and found[cells["random"].file]["status"] == "ok", done.stderr
    refused = found[cells["dual"].file]
    assert refused["status"] == "unavailable" and "a leak; train it on audiocaps" in refused["reason"]
    assert "holds 2 of the 2 items of audiocaps/test" in refused["reason"]


def test_generated_datasets_of_other_sizes_are_no_leak(tmp_path: Path) -> None:
    text = HEAD + (
        "datasets: {many: {kind: motions, train: 50}, few: {kind: motions, train: 5}}\n"
        "encoders: {e: {kind: small, trained_on: many}}\n"
        "tasks: [{dataset: few, encoder: e}]\nretrievers: {d: {kind: dual_tower}}\n"
    )

    def opened(component: Component) -> Dataset:
        raise AssertionError("nobody has to look into it")

    refuse_leaks(cells_of(tmp_path, text)["d"], opened)


def test_a_test_without_its_train_can_be_asked(tmp_path: Path) -> None:
    audiocaps(tmp_path / "data/audiocaps")
    (tmp_path / "data/audiocaps/train.csv").unlink()
    shutil.rmtree(tmp_path / "data/audiocaps/val")
    real(tmp_path / "data")
    (tmp_path / "suite.yaml").write_text(
        HEAD
        + "encoders: {e: {kind: small, trained_on: audiocaps, steps: 1}}\n"
        + "tasks: [{dataset: audiocaps, encoder: e, direction: [text-audio, audio-text]}]\n"
        + "retrievers: {random: {kind: random}, oracle: {kind: oracle}, dual: {kind: dual_tower}}\n"
    )
    done = harness(
        tmp_path / "cache", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out", "--data", tmp_path / "data"
    )
    assert done.returncode == 0, done.stderr
    found = records(tmp_path / "out")
    assert {record["status"] for name, record in found.items() if ".dual." not in name} == {"ok"}
    assert done.stderr.count("nothing is learned from audiocaps/train: audiocaps: no train.csv (v1)") == 1
    assert done.stderr.count("nothing is learned from audiocaps/validation: audiocaps: none of the 1 audio files") == 1
    dual = found["audiocaps_test_text-audio.dual.0"]
    assert dual["status"] == "unavailable" and "no train.csv (v1)" in dual["reason"]
    assert "2 candidates, 10 queries, 2 of the literature's 975 items" in (tmp_path / "out/tables/main.md").read_text()

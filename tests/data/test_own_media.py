"""A folder of people's own media and a CSV, taken to a verdict by five lines of YAML."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from media_files import collection
from runs import harness, records

FIVE = """\
name: mine
datasets: {{mine: {{kind: manifest, path: {folder}/mine.csv, modality: {modality}, split: {split}, broken: 0.2}}}}
encoders: {{small: {{kind: small, trained_on: mine, steps: 10, batch: 16}}}}
tasks: [{{dataset: mine, encoder: small, direction: [text-{modality}, {modality}-text]}}]
retrievers: {{random: {{kind: random}}, oracle: {{kind: oracle}}, dual: {{kind: dual_tower}}}}
"""


def verdict(folder: Path, modality: str, count: int, broken: int, timeout: float = 120) -> None:
    """Make so many files, run the suite and look at what it leaves. The script beside the benchmarks calls it, too."""
    names, harmed = collection(folder / "files", modality, count, broken)
    with (folder / "mine.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "caption"])
        for number, name in enumerate(names):
            for words in ("thing number {}", "the {}th of all things"):
                writer.writerow([f"files/{name}", words.format(number)])
    split = "{test: 0.3, validation: 0.1}"
    (folder / "suite.yaml").write_text(FIVE.format(folder=folder, modality=modality, split=split))
    done = harness(folder / "cache", "run", folder / "suite.yaml", "--out", folder / "out", timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout + done.stderr
    for name in harmed:
        assert told.count(f"broken: {folder / 'files' / name}: ") == 1, name
    assert told.count("broken: ") == len(harmed) == broken
    found = records(folder / "out")
    assert len(found) == 6 and all(record["status"] == "ok" for record in found.values())
    data = found[f"mine_test_text-{modality}.dual.0"]["data"]
    assert data["items"] + data["dropped"] == round(0.3 * count) and data["queries"] == 2 * data["items"]
    assert not data["generated"]
    assert found[f"mine_test_text-{modality}.oracle.0"]["metrics"]["hit@1"]["value"] == 1.0
    mirrored = found[f"mine_test_{modality}-text.oracle.0"]
    assert mirrored["metrics"]["hit@1"]["value"] == 1.0 and mirrored["metrics"]["recall@1"]["value"] == 0.5
    again = harness(folder / "cache", "run", folder / "suite.yaml", "--out", folder / "out", timeout=timeout)
    assert again.returncode == 0 and "6 reused" in again.stderr


@pytest.mark.parametrize("modality", ["audio", "image"])
def test_sixty_files_come_to_a_verdict(tmp_path: Path, modality: str) -> None:
    verdict(tmp_path, modality, 60, 8)


def test_too_many_broken_files_fail_and_say_so(tmp_path: Path) -> None:
    names, harmed = collection(tmp_path / "files", "image", 20, 4)
    rows = [f'"files/{name.replace(chr(34), chr(34) * 2)}",thing' for name in names]
    (tmp_path / "mine.csv").write_text("\n".join(["path,caption", *rows]))
    suite = FIVE.format(folder=tmp_path, modality="image", split="{test: 1.0}").replace("broken: 0.2", "broken: 0.1")
    (tmp_path / "suite.yaml").write_text(suite)
    done = harness(tmp_path / "cache", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "mine/test: 4 of 20 files can't be decoded (20.0 %): " in done.stdout
    assert "At most 10 % may be left out" in done.stdout
    assert all(f"broken: {tmp_path / 'files' / name}: " in done.stderr for name in harmed)


def test_a_question_that_can_not_be_asked_fails_its_contest_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(
        "name: gone\n"
        "datasets: {mine: {kind: python, target: 'tests.fixtures.unreadable:Unreadable', modality: image}}\n"
        "tasks: [{dataset: mine, direction: [image-text, text-image]}]\n"
        "retrievers: {random: {kind: random}}\n"
    )
    done = harness(tmp_path / "cache", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out")
    assert done.returncode == 1
    found = records(tmp_path / "out")
    assert found["mine_test_text-image.random.0"]["status"] == "ok"
    broken = found["mine_test_image-text.random.0"]
    assert broken["status"] == "failed" and ".png: gone" in broken["reason"]

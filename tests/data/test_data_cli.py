"""`python -m harness data`, as a user calls it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from media_files import break_it, collection
from runs import harness

from harness.contract.dataset import Contents, Split, texts
from harness.data.check import findings
from harness.data.datasets.fetching import karpathy
from harness.suite.registry import kinds

SUITE = """\
name: mine
datasets: {{mine: {{kind: manifest, path: {path}, modality: {modality}, {more}}}}}
tasks: [{{dataset: mine}}]
retrievers: {{random: {{kind: random}}}}
"""


def suite(folder: Path, modality: str, more: str = "broken: 0.1") -> Path:
    path = folder / "suite.yaml"
    path.write_text(SUITE.format(path=folder / "mine.csv", modality=modality, more=more))
    return path


def test_list_tells_licence_source_size_and_whether_it_is_here(tmp_path: Path) -> None:
    (tmp_path / "data" / "clotho" / "evaluation").mkdir(parents=True)
    (tmp_path / "data" / "msvd").mkdir()
    (tmp_path / "data" / "msvd" / ".hidden").touch()
    done = harness(tmp_path, "data", "list", "--data", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    blocks = {name: block for block in done.stdout.split("\n") for name in kinds("datasets") if block.startswith(name)}
    assert set(blocks) == set(kinds("datasets"))
    assert "present" in blocks["clotho"] and "absent" in blocks["coco"] and "empty" in blocks["msvd"]
    empty = harness(tmp_path, "data", "check", "msvd", "--data", tmp_path / "data")
    assert empty.returncode == 3 and "msvd: an empty folder at " in empty.stderr
    for words in ("Zenodo, record 4783391", "CC BY 4.0", "19 GB", "non-commercial research"):
        assert words in done.stdout


def test_a_generated_dataset_checks_itself(tmp_path: Path) -> None:
    done = harness(tmp_path, "data", "check", "shapes")
    assert done.returncode == 0, done.stderr
    assert "test: 1,000 items, 5,000 captions" in done.stdout and "nothing wrong with it" in done.stdout


@pytest.mark.parametrize("verb", ["check", "path", "get"])
def test_a_name_that_nobody_knows_is_bad_input(tmp_path: Path, verb: str) -> None:
    done = harness(tmp_path, "data", verb, "cloto")
    assert done.returncode == 2 and "did you mean 'clotho'?" in done.stderr


def test_what_is_absent_says_where_to_get_it(tmp_path: Path) -> None:
    for verb in ("check", "get"):
        done = harness(tmp_path, "data", verb, "clotho", "--data", tmp_path)
        assert done.returncode == 3 and "Zenodo" in done.stderr, verb
    done = harness(tmp_path, "data", "path", "clotho", "--data", tmp_path)
    assert done.returncode == 3 and done.stdout.strip() == str(tmp_path / "clotho")
    (tmp_path / "clotho").mkdir()
    assert harness(tmp_path, "data", "path", "clotho", "--data", tmp_path).returncode == 0


def test_get_says_when_there_is_no_network(tmp_path: Path) -> None:
    done = harness(tmp_path, "data", "get", "coco", "--data", tmp_path)
    assert done.returncode == 3
    assert "pip install pyarrow" in done.stderr or "run this again with a network" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_copy_of_the_hub_takes_karpathys_form() -> None:
    row = {"filepath": "val2014", "filename": "COCO_val2014_000000391895.jpg", "imgid": np.int64(1), "split": "test"}
    row |= {
        "cocoid": np.int64(391895),
        "sentids": np.array([770337, 771687]),
        "sentences": np.array(["A man ", "Two\n"]),
    }
    other = {**row, "imgid": 0, "cocoid": 5}
    images = karpathy([row, other])["images"]
    assert [image["imgid"] for image in images] == [0, 1]
    assert images[1]["sentences"][1] == {"raw": "Two\n", "sentid": 771687, "imgid": 1}
    assert images[1] | {"sentences": 0} == {
        "cocoid": 391895,
        "imgid": 1,
        "sentids": [770337, 771687],
        "sentences": 0,
        "filename": "COCO_val2014_000000391895.jpg",
        "filepath": "val2014",
        "split": "test",
    }


def test_check_finds_what_is_wrong_with_a_manifest(tmp_path: Path) -> None:
    names, _ = collection(tmp_path, "image", 12, broken=0)
    break_it(tmp_path / names[3], "truncated")
    (tmp_path / names[4]).unlink()
    (tmp_path / names[5]).write_bytes((tmp_path / names[6]).read_bytes())
    with (tmp_path / "mine.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "caption", "split"])
        for number, name in enumerate(names):
            writer.writerow([name, f"thing {min(number, 9)}", "test" if number > 2 else "train"])
        writer.writerow([names[0], "Thing  3", "train"])  # reads like one of test
        writer.writerow([names[0], "Again", "test"])  # an item in two splits
        writer.writerow([names[1], "thing 1", "train"])
    done = harness(tmp_path / "cache", "data", "check", "mine", "--suite", suite(tmp_path, "image"))
    assert done.returncode == 1, done.stderr
    for line in (
        "layout: " + str(tmp_path / "mine.csv"),
        "train: 3 items, 5 captions",
        "test: 10 items, 10 captions",
        "1 files are not there: " + repr(str(tmp_path / names[4])),
        "1 captions repeat another one of the same item",
        "3 captions fit several items",
        "leak: 1 items of test are in train or validation too",
        "leak: 1 captions of test read like one of train or validation",
    ):
        assert line in done.stdout, line
    assert "broken" not in done.stdout
    decoded = harness(tmp_path / "cache", "data", "check", "mine", "--suite", suite(tmp_path, "image"), "--decode")
    assert decoded.returncode == 1
    assert (
        f"broken: {tmp_path / names[3]}: " in decoded.stdout and f"broken: {tmp_path / names[4]}" not in decoded.stdout
    )
    assert "1 files hold the same bytes as another one" in decoded.stdout
    assert "8 of 10 files can be decoded" in decoded.stdout


def test_a_leak_under_another_name_is_found_where_files_are_read(tmp_path: Path) -> None:
    names, _ = collection(tmp_path, "image", 8, broken=0)
    (tmp_path / names[1]).write_bytes((tmp_path / names[6]).read_bytes())
    break_it(tmp_path / names[7], "truncated")
    rows = [(name, f"thing {place}", "test" if place > 4 else "train") for place, name in enumerate(names)]
    with (tmp_path / "mine.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "caption", "split"), *rows, (names[7], "thing 0", "test")])
    check = ["data", "check", "mine", "--suite", suite(tmp_path, "image")]
    done = harness(tmp_path / "cache", *check)
    assert "leak: 1 captions of test read like one of train" in done.stdout and "items of test" not in done.stdout
    assert (
        "files were not read: `--decode` finds those that are damaged, or in two splits under two names" in done.stdout
    )
    done = harness(tmp_path / "cache", *check, "--decode")
    assert done.returncode == 1 and "leak: 1 items of test are in train or validation too" in done.stdout
    assert "captions of test read like" not in done.stdout, "that of a broken file is never asked"
    assert "files were not read" not in done.stdout


UNUSABLE = """\
name: mine
datasets: {{mine: {{kind: manifest, path: {path}, modality: image}}}}
encoders:
  theirs: {{kind: of_a_package_that_is_not_here, size: 3}}
  clip: {{kind: clip, checkpoint: /nowhere/at/all}}
captioners: {{told: {{kind: file, path: /nowhere.jsonl}}, odd: {{kind: file}}}}
tasks: [{{dataset: mine, encoder: {encoder}, captioner: told}}]
retrievers: {{dual: {{kind: dual_tower}}, also: {{kind: of_another_package}}}}
"""


@pytest.mark.parametrize("encoder", ["theirs", "clip"])
def test_data_is_checked_where_an_encoder_can_not_be_had(tmp_path: Path, encoder: str) -> None:
    names, _ = collection(tmp_path, "image", 3, broken=0)
    with (tmp_path / "mine.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("path", "caption"), *((name, f"thing {place}") for place, name in enumerate(names))]
        )
    (tmp_path / "suite.yaml").write_text(UNUSABLE.format(path=tmp_path / "mine.csv", encoder=encoder))
    done = harness(tmp_path / "cache", "data", "check", "mine", "--suite", tmp_path / "suite.yaml")
    assert done.returncode == 0, done.stderr
    assert "test: 3 items, 3 captions" in done.stdout and "nothing wrong with it" in done.stdout


def test_an_empty_test_split_is_told(tmp_path: Path) -> None:
    collection(tmp_path, "image", 1, broken=0)
    (tmp_path / "mine.csv").write_text('path,caption,split\n" leading blank 0.jpg",x,train\n')
    done = harness(tmp_path / "cache", "data", "check", "mine", "--suite", suite(tmp_path, "image"))
    assert done.returncode == 1 and "nothing can be asked of it" in done.stdout and "Traceback" not in done.stderr
    done = harness(tmp_path / "cache", "run", suite(tmp_path, "image"), "--out", tmp_path / "out")
    told = done.stdout + done.stderr
    assert done.returncode == 1 and "ZeroDivisionError" not in told and "Traceback" not in told
    assert "mine/test/text-image: 0 items and 0 captions in the split test of mine, so nothing can be asked" in told
    assert harness(tmp_path / "cache", "report", tmp_path / "out").returncode == 0


def test_check_tells_problems_of_a_manifest_by_line(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("path,caption\n../a.png,x\nb.png,\n")
    done = harness(tmp_path / "cache", "data", "check", "mine", "--suite", suite(tmp_path, "image"))
    assert done.returncode == 2
    assert "mine.csv:2: path '../a.png' leaves it" in done.stderr and "mine.csv:3: a caption" in done.stderr
    done = harness(tmp_path / "cache", "data", "check", "yours", "--suite", suite(tmp_path, "image"))
    assert done.returncode == 2 and "no task uses a dataset 'yours'" in done.stderr
    assert harness(tmp_path, "data", "check", "manifest").returncode == 2


def test_expected_counts_are_held_against_those_present(tmp_path: Path) -> None:
    class Small:
        name, modality, generated, digest, layout = "small", "audio", False, "", "official"
        expected = {"train": (2, 4), "validation": (1, 2), "test": (2, 4)}

        def split(self, name: str) -> Split:
            count = 1 if name == "validation" else 2 - (name == "test")
            items = Contents("audio", lambda place: None, np.arange(count), name)
            told = texts([f"{name} {number}" for number in range(2 * count)])
            names = [f"{name}/{number}" for number in range(count)]
            return Split(name, items, names, told, np.repeat(np.arange(count), 2), dropped=["x"] * (name == "test"))

    found = list(findings(Small(), "harness.data.datasets.manifest:Manifest", False, tmp_path))
    told = [finding.text for finding in found]
    assert told[0] == "layout: official" and "train: 2 items, 4 captions, as expected" in told
    assert "test: 1 items of 2, 2 captions of 4 expected" in told and "  1 missing: 'x'" in told
    assert sum(finding.wrong for finding in found) == 2

"""What test shares with what is learned from: found, counted in the record, told above the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_files import write_picture
from runs import harness, records

from harness.contract.dataset import Contents, Split, texts
from harness.data.audit import leaks


def split(name: str, items: dict[str, list[str]], labels: bool = False, prints: list[str] | None = None) -> Split:
    contents = Contents("image", lambda place: None, np.arange(len(items)), name)
    told = [text for captions in items.values() for text in captions]
    owner = np.repeat(np.arange(len(items)), [len(captions) for captions in items.values()])
    return Split(name, contents, list(items), texts(told), owner, labels=labels, prints=prints)


def test_nothing_is_shared() -> None:
    asked = split("test", {"a": ["one", "two"], "b": ["three"]})
    assert leaks(asked, [split("train", {"c": ["four"]})]) == {"items": 0, "captions": 0, "ambiguous": 0}


def test_words_count_without_their_case_and_spaces() -> None:
    asked = split("test", {"a": ["A dog  barks", "two"], "b": ["a Dog barks ", "three"], "c": ["four", "four"]})
    learned = [split("train", {"d": ["TWO", "two"]}), split("validation", {"e": ["a dog barks"]})]
    assert leaks(asked, learned) == {"items": 0, "captions": 3, "ambiguous": 2}


def test_an_item_is_known_by_its_bytes_where_it_is_a_file_and_by_its_name_elsewhere() -> None:
    train = split("train", {"b": ["x"], "c": ["y"]})
    assert leaks(split("test", {"a": ["1"], "b": ["2"]}), [train])["items"] == 1
    train = split("train", {"b": ["x"], "c": ["y"]}, prints=["123", "456"])
    assert leaks(split("test", {"a": ["1"], "b": ["2"]}, prints=["456", "789"]), [train])["items"] == 1
    assert leaks(split("test", {"a": ["1"], "b": ["2"]}, prints=["4", "7"]), [train])["items"] == 0


def test_labels_are_shared_by_their_nature() -> None:
    asked = split("test", {"a": ["dog"], "b": ["dog"]}, labels=True)
    assert leaks(asked, [split("train", {"c": ["dog"]}, labels=True)]) == {"items": 0}


TRAIN = "dataset: mine, split: train}, {dataset: mine"
SUITE = """\
name: leaky
k: [1, 2]
scenarios: {{offline: {{rounds: 1, cap_s: 5}}}}
datasets: {{mine: {{kind: manifest, path: {path}, modality: image}}}}
tasks: [{{dataset: mine, direction: [text-image, image-text]}}]
retrievers: {{random: {{kind: random}}, oracle: {{kind: oracle}}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(8):
        write_picture(tmp_path / f"{number}.png", number)
    (tmp_path / "other-name.png").write_bytes((tmp_path / "0.png").read_bytes())
    (tmp_path / "suite.yaml").write_text(SUITE.format(path=tmp_path / "mine.csv"))
    return tmp_path


def test_leaks_are_in_the_record_and_above_the_table(folder: Path) -> None:
    rows = [f"{number}.png,thing {max(number, 2)},test" for number in range(6)]
    rows += ["other-name.png,something else,train", "7.png,Thing 5,validation"]
    (folder / "mine.csv").write_text("\n".join(["path,caption,split", *rows]))
    done = harness(folder / "cache", "run", folder / "suite.yaml", "--out", folder / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    for record in records(folder / "out").values():
        assert record["data"]["leaks"] == {"items": 1, "captions": 1, "ambiguous": 3}
    table = (folder / "out" / "tables" / "main.md").read_text()
    told = "LEAK: 1 items are also among those to learn from, 1 captions read like one to learn from, 3 captions fit"
    assert table.count(told) == 2 and told in " ".join(done.stdout.split())


def test_a_question_from_train_is_said_to_have_been_learned(folder: Path) -> None:
    rows = [f"{number}.png,thing {number},{'train' if number < 5 else 'test'}" for number in range(8)]
    (folder / "mine.csv").write_text("\n".join(["path,caption,split", *rows]))
    suite = (folder / "suite.yaml").read_text()
    (folder / "suite.yaml").write_text(suite.replace("dataset: mine, direction: [text-image, image-text]", TRAIN))
    done = harness(folder / "cache", "run", folder / "suite.yaml", "--out", folder / "out", "--threads", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, record in records(folder / "out").items():
        found = {"learned": 5} if "train" in name else {}
        assert record["data"]["leaks"] == {**found, "items": 0, "captions": 0, "ambiguous": 0}
    assert " ".join(done.stdout.split()).count("LEAK: its 5 items are those to learn from") == 1

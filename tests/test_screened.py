"""Broken files: known before a task is fixed, named once, gone from gallery and queries alike, not looked for twice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from media_files import break_it, collection, write_picture

from harness import media, progress
from harness.dataset import Split, texts
from harness.media import scan as scanning
from harness.media.decoding import Job
from harness.media.errors import TooManyBroken
from harness.media.screened import Screened
from harness.task import open_task


class Folder:
    """A dataset of image files: a train and a test split, two captions an item."""

    name, modality, generated, digest = "folder", "image", False, "1"

    def __init__(self, paths: list[Path], broken: float = 0.5) -> None:
        self.paths, self.broken = paths, broken

    def split(self, name: str) -> Split:
        paths = self.paths if name == "test" else []
        items = media.files("image", paths, f"folder:{name}:items")
        names = [path.name for path in paths]
        told = texts([f"{word} {name}" for name in names for word in ("the", "a")])
        return Split(name, items, names, told, np.repeat(np.arange(len(paths)), 2), dropped=("gone",))


class Heard(progress.Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def heard() -> Iterator[Heard]:
    reporter = Heard()
    progress.use(reporter)
    yield reporter


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    names, _ = collection(tmp_path / "files", "image", 20, broken=0)
    return [tmp_path / "files" / name for name in names]


def test_broken_files_leave_gallery_and_queries(tmp_path: Path, paths: list[Path], heard: Heard) -> None:
    for place, harm in ((3, "truncated"), (7, "empty"), (19, "text")):
        break_it(paths[place], harm)
    dataset = Screened(Folder(paths), tmp_path / "cache")
    for direction in ("text-image", "image-text"):
        task = open_task(f"folder/test/{direction}", dataset, "test", direction)
        assert sorted(task.dropped) == sorted(["gone", *(paths[place].name for place in (3, 7, 19))])
        assert len(task.cluster) == len(task.queries) == (34 if direction == "text-image" else 17)
        assert len(list(task.gallery)) == task.items == (17 if direction == "text-image" else 34)
        for query in range(len(task.queries)):
            for target in task.links.of(query).tolist():
                caption = task.query_names[query] if direction == "text-image" else task.candidate_names[target]
                item = task.candidate_names[target] if direction == "text-image" else task.query_names[query]
                assert caption.rpartition("#")[0] == item
                told = task.queries[query] if direction == "text-image" else task.gallery[target]
                assert told.partition(" ")[2] == item
    named = [line for line in heard.lines if "broken" in line]
    assert len(named) == 3
    assert all(sum(str(paths[place]) in line for line in named) == 1 for place in (3, 7, 19))


def test_above_the_declared_share_the_dataset_fails(tmp_path: Path, paths: list[Path]) -> None:
    break_it(paths[2], "noise")
    assert len(Screened(Folder(paths, broken=0.05), None).split("test").items) == 19
    with pytest.raises(TooManyBroken) as told:
        Screened(Folder(paths, broken=0.04), None).split("test")
    text = str(told.value)
    assert f"folder/test: 1 of 20 files can't be decoded (5.0 %): {paths[2]}: " in text and "At most 4 % may be" in text


def test_what_is_in_the_files_is_part_of_the_digest(tmp_path: Path, paths: list[Path]) -> None:
    before = Screened(Folder(paths), tmp_path / "cache").split("test").items.digest
    assert Screened(Folder(paths), None).split("test").items.digest == before
    write_picture(paths[5], 999)
    assert Screened(Folder(paths), tmp_path / "cache").split("test").items.digest != before


def test_a_verdict_holds_until_the_file_changes(
    tmp_path: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    decode = scanning.crew.answers

    def counted(jobs: list[Job]) -> Iterator[scanning.crew.Answer]:
        tried.extend(job.path.name for job in jobs)
        return decode(jobs)

    monkeypatch.setattr(scanning.crew, "answers", counted)
    jobs = [Job("image", path, 0, 0) for path in paths]
    break_it(paths[4], "text")
    first = scanning.scan(jobs, tmp_path / "cache")
    assert len(tried) == 20 and [verdict.why is None for verdict in first].count(False) == 1
    assert scanning.scan(jobs, tmp_path / "cache") == first and len(tried) == 20
    write_picture(paths[4], 4)
    os.utime(paths[6], ns=(1, 1))
    again = scanning.scan(jobs, tmp_path / "cache")
    assert tried[20:] == [paths[4].name, paths[6].name]
    assert all(verdict.why is None for verdict in again) and again[6] == first[6]


def test_what_is_missing_now_is_looked_for_again(tmp_path: Path, paths: list[Path]) -> None:
    data = paths[0].read_bytes()
    paths[0].unlink()
    jobs = [Job("image", path, 0, 0) for path in paths]
    assert scanning.scan(jobs, tmp_path / "cache")[0] == ("", "there is no such file", "missing")
    paths[0].write_bytes(data)
    assert scanning.scan(jobs, tmp_path / "cache")[0].why is None


def test_a_file_that_stands_in_a_dataset_twice_is_decoded_once_and_judged_twice(tmp_path: Path) -> None:
    write_picture(tmp_path / "one.png", 1)
    write_picture(tmp_path / "two.png", 2)
    jobs = [Job("image", tmp_path / f"{name}.png", 0, 0) for name in ("one", "two", "one")]
    found = scanning.scan(jobs, None)
    assert found[0] == found[2] != found[1]

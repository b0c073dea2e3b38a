"""Broken files: known before a task is fixed, named once, gone from gallery and queries alike, not looked for twice."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from media_files import break_it, collection, write_picture

from harness.contest.task import open_task
from harness.contract.dataset import Split, texts
from harness.data import media
from harness.data.media import scan as scanning
from harness.data.media.errors import TooManyBroken
from harness.data.media.job import Job
from harness.data.media.screened import Screened


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


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    names, _ = collection(tmp_path / "files", "image", 20, broken=0)
    return [tmp_path / "files" / name for name in names]


def test_broken_files_leave_gallery_and_queries(tmp_path: Path, paths: list[Path], messages: list[str]) -> None:
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
    named = [line for line in messages if line.startswith("    broken")]
    assert len(named) == 3
    assert all(sum(str(paths[place]) in line for line in named) == 1 for place in (3, 7, 19))


def test_above_the_declared_share_the_dataset_fails(tmp_path: Path, paths: list[Path]) -> None:
    break_it(paths[2], "noise")
    assert len(Screened(Folder(paths, broken=0.05), None).split("test").items) == 19
    with pytest.raises(TooManyBroken) as caught:
        Screened(Folder(paths, broken=0.04), None).split("test")
    text = str(caught.value)
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


def test_missing_files_are_no_broken_ones(tmp_path: Path, paths: list[Path], messages: list[str]) -> None:
    break_it(paths[3], "text")
    for place in (5, 6):
        paths[place].unlink()
    split = Screened(Folder(paths, broken=0.2), None).split("test")
    assert sorted(split.dropped) == sorted(["gone", *(paths[place].name for place in (3, 5, 6))])
    assert [line for line in messages if line.startswith("    missing")] == [
        f"    missing: {paths[place]}" for place in (5, 6)
    ]
    assert len([line for line in messages if line.startswith("    broken")]) == 1 and "Errno" not in "".join(messages)
    with pytest.raises(TooManyBroken) as caught:
        Screened(Folder(paths, broken=0.14), None).split("test")
    assert (
        f"2 of 20 files are missing (10.0 %): {paths[5]}; {paths[6]}. 1 of 20 files can't be decoded (5.0 %): "
        in str(caught.value)
    )


def test_a_name_that_ends_with_a_space_stands_in_quotes(tmp_path: Path, paths: list[Path], messages: list[str]) -> None:
    odd = [tmp_path / "gone.jpg ", tmp_path / " folder" / "gone.jpg", tmp_path / "in it.jpg"]
    Screened(Folder([*paths, *odd]), tmp_path / "cache").split("test")
    assert [line.strip() for line in messages] == [
        f"missing: '{tmp_path}/gone.jpg '",
        f"missing: '{tmp_path}/ folder/gone.jpg'",
        f"missing: {tmp_path}/in it.jpg",
    ]


def test_of_thousands_of_missing_files_not_every_one_has_a_line(tmp_path: Path, messages: list[str]) -> None:
    there = tmp_path / "there.png"
    write_picture(there, 1)
    Screened(Folder([there, *(tmp_path / f"{number}.png" for number in range(200))], broken=1.0), None).split("test")
    assert 50 <= len(messages) <= 52 and "200 files in all" in messages[-1]


def stopped(monkeypatch: pytest.MonkeyPatch, names: set[str], times: int) -> list[str]:
    """The system kills whoever begins one of these files, so many times; the names of all that were begun."""
    begun: list[str] = []
    begin = scanning.crew.Worker.begin

    def killed(worker: scanning.crew.Worker, number: int, job: Job) -> None:
        begun.append(job.path.name)
        if job.path.name in names and begun.count(job.path.name) <= times:
            worker.process.kill()
            worker.process.wait()
        begin(worker, number, job)

    monkeypatch.setattr(scanning.crew.Worker, "begin", killed)
    return begun


def test_a_file_whose_decoder_was_killed_is_tried_again_alone(
    tmp_path: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = stopped(monkeypatch, {paths[2].name, paths[9].name}, times=1)
    jobs = [Job("image", path, 0, 0) for path in paths]
    assert all(verdict.why is None for verdict in scanning.scan(jobs, tmp_path / "cache"))
    assert len(begun) == 22 and begun.count(paths[2].name) == begun.count(paths[9].name) == 2


def test_a_file_that_ends_its_decoder_every_time_is_left_out_and_not_condemned(
    tmp_path: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    with monkeypatch.context() as patch:
        stopped(patch, {paths[2].name}, times=99)
        split = Screened(Folder(paths), tmp_path / "cache").split("test")
        assert paths[2].name in split.dropped and len(split.items) == 19
        assert f"    stopped: {paths[2]}: the decoder ended while at it (signal 9)" in messages
    begun = stopped(monkeypatch, set(), times=0)
    assert len(Screened(Folder(paths), tmp_path / "cache").split("test").items) == 20
    assert begun == [paths[2].name], "nothing was remembered of it, and all of the others"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), "stopped"),
        (OSError(24, "Too many open files"), "unreadable"),
        (OSError("image file is truncated"), "broken"),
    ],
)
def test_what_a_decoder_raises_is_blamed_on_whose_doing_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, cause: str
) -> None:
    from PIL import Image

    from harness.data.media import worker
    from harness.data.media.errors import described
    from harness.data.media.job import Verdict

    def fail(*arguments: object, **more: object) -> None:
        raise error

    write_picture(tmp_path / "one.png", 1)
    monkeypatch.setattr(Image, "open", fail)
    fine, answer = worker.worked(Job("image", tmp_path / "one.png", 0, 0, only_try=True))
    assert (answer if fine else Verdict("", *described(answer))).cause == cause


HARMED = {
    "no database": lambda file: file.write_bytes(b"no database at all, but long enough to be one" * 100),
    "pages": lambda file: file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 4096),
    "other table": lambda file: _other_table(file),
}


def _other_table(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as known:
        known.execute("create table found (other text)")


@pytest.mark.parametrize("harm", HARMED)
def test_damaged_verdicts_are_set_aside_and_made_anew(
    tmp_path: Path, paths: list[Path], messages: list[str], harm: str
) -> None:
    jobs = [Job("image", path, 0, 0) for path in paths]
    first = scanning.scan(jobs, tmp_path / "cache")
    file = tmp_path / "cache" / "media.sqlite"
    HARMED[harm](file)
    assert scanning.scan(jobs, tmp_path / "cache") == first
    assert len(messages) == 1 and f"{file} is damaged" in messages[0] and "set aside" in messages[0]
    assert (tmp_path / "cache" / "media.sqlite.damaged").is_file()
    assert scanning.scan(jobs, tmp_path / "cache") == first and len(messages) == 1


def test_verdicts_that_can_not_be_kept_stop_nobody(tmp_path: Path, paths: list[Path], messages: list[str]) -> None:
    (tmp_path / "cache" / "media.sqlite").mkdir(parents=True)
    assert len(scanning.scan([Job("image", path, 0, 0) for path in paths], tmp_path / "cache")) == 20
    assert len(messages) == 1 and "remembers nothing" in messages[0]


def test_a_file_that_stands_in_a_dataset_twice_is_decoded_once_and_judged_twice(tmp_path: Path) -> None:
    write_picture(tmp_path / "one.png", 1)
    write_picture(tmp_path / "two.png", 2)
    jobs = [Job("image", tmp_path / f"{name}.png", 0, 0) for name in ("one", "two", "one")]
    found = scanning.scan(jobs, None)
    assert found[0] == found[2] != found[1]

"""Paths that lead nowhere good are refused in words before anything is opened; nothing of the user's is overwritten."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from runs import TINY, harness

from harness import cli
from harness.contract.problems import SuiteError
from harness.machine import files
from harness.machine.files import BadPath, objection, path_digest
from harness.store.run_folder import RunFolder
from harness.suite import load


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def listening(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(folder / "s"))
    return folder / "s"


def circle(folder: Path) -> Path:
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    return folder / "a"


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a name too long": (lambda folder: folder / ("x" * 256), "File name too long"),
    "a path too long": (lambda folder: Path("x/" * 3000), "File name too long"),
    "NUL": (lambda folder: folder / "a\0b", "null byte"),
    "too much": (lambda folder: Path("/usr"), "holds more than 10,000 files"),
    "all there is": (lambda folder: Path("/"), "expected a "),
    "a file that never ends": (lambda folder: Path("/proc/kmsg"), "made up by the kernel"),
    "the kernel's folder": (lambda folder: Path("/proc"), "made up by the kernel"),
    "the kernel's other folder": (lambda folder: Path("/sys"), "made up by the kernel"),
    "a device": (lambda folder: Path("/dev/zero"), "a pipe, a socket or a device"),
    "a pipe": (pipe, "a pipe, a socket or a device"),
    "a socket": (listening, "a pipe, a socket or a device"),
    "a circle of links": (circle, "Too many levels of symbolic links"),
}


@pytest.fixture(params=BAD)
def bad(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    make, words = BAD[request.param]
    begun = time.monotonic()
    yield make(tmp_path), words
    assert time.monotonic() - begun < 30, "hangs, or reads all of it"


SUITES = {
    "datasets": "datasets: {{d: {{kind: manifest, modality: audio,\n  path: {path}}}}}\n",
    "vectors": "datasets: {{d: {{kind: manifest, modality: audio, path: m.csv,\n  vectors: {path}}}}}\n",
    "encoders": "encoders: {{e: {{kind: clap,\n  checkpoint: {path}}}}}\n",
    "captioners": "captioners: {{c: {{kind: file,\n  path: {path}}}}}\n",
}


def test_a_suite_that_names_it_is_refused_with_its_line(bad: tuple[Path, str], tmp_path: Path) -> None:
    path, words = bad
    suite = tmp_path / "suite.yaml"
    quoted = '"' + str(path).replace("\0", "\\0") + '"'
    for section, text in SUITES.items():
        rest = "tasks: [{dataset: shapes}]\nretrievers: {random: {kind: random}}\n"
        suite.write_text("name: x\n" + text.format(path=quoted) + rest)
        if "\0" in str(path):  # YAML has no such character to begin with
            words = "U+0000"
        with pytest.raises(SuiteError) as caught:
            load(suite)
        about = [problem for problem in caught.value.problems if words in problem.message]
        assert [problem.line for problem in about] == [3], (section, caught.value)
        assert len(about[0].message.split("; ")) >= 3, "what was found; what was expected; what to do"


def test_nothing_is_made_of_it(bad: tuple[Path, str]) -> None:
    path, words = bad
    with pytest.raises(BadPath, match=words):
        path_digest(path)


def test_nothing_speaks_against_what_is_there_or_not_yet(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    circle(tmp_path)
    pipe(tmp_path)
    for path in (tmp_path, tmp_path / "file", tmp_path / "absent", tmp_path / "file" / "below", Path("org/model")):
        assert objection(path) is None
    assert path_digest(tmp_path) == files.digest({"file": files.file_digest(tmp_path / "file")})


def test_hidden_files_and_linked_folders_are_no_part_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "weights").write_bytes(b"1")
    before = path_digest(folder)
    (folder / ".git").mkdir()
    (folder / ".git" / "head").write_bytes(b"2")
    (folder / "sub" / "up").symlink_to(folder)
    assert path_digest(folder) == before
    (folder / "sub" / "more").write_bytes(b"3")
    assert path_digest(folder) != before


def test_a_folder_with_something_unreadable_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "secret")  # root may read everything
    assert f"{tmp_path}/secret: Permission denied" in str(objection(tmp_path))
    assert "can't be read (Permission denied)" in str(objection(tmp_path / "secret"))


def test_a_folder_with_too_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    monkeypatch.setattr(files, "MOST_BYTES", 4)
    assert "all of which would be read" in str(objection(tmp_path))


def test_a_long_name_of_a_checkpoint_ends_in_exit_code_2(tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    small = "kind: small, trained_on: sounds, steps: 3, batch: 16, dim: 16"
    suite.write_text(TINY.replace(small, f"kind: clap,\n  checkpoint: {'x' * 300}"))
    done = harness(tmp_path / "cache", "run", suite, "--out", tmp_path / "out")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"{suite}:9: encoders.audio.checkpoint is" in done.stderr and "File name too long" in done.stderr
    assert not (tmp_path / "out").exists()


LONG = "x" * 300


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "{suite}", "--out", LONG], 2),
        (["run", "{suite}", "--out", "/dev/null"], 2),
        (["plan", "{suite}", "--out", LONG], 0),
        (["report", LONG], 2),
        (["report", "/proc/kmsg"], 2),
        (["data", "list", "--data", LONG], 0),
        (["data", "path", "coco", "--data", LONG], 3),
        (["data", "check", "coco", "--data", LONG], 3),
        (["data", "check", "x", "--suite", LONG], 2),
        (["data", "check", "x", "--suite", "/proc/kmsg"], 2),
    ],
)
def test_paths_of_the_command_line(
    arguments: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suite.yaml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    assert cli.main([each.format(suite=tmp_path / "suite.yaml") for each in arguments]) == code


def test_a_cache_of_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "suite.yaml").write_text(TINY)
    monkeypatch.setenv("HARNESS_CACHE", "~no-such-user/cache")
    assert cli.main(["plan", str(tmp_path / "suite.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert "HARNESS_CACHE ~no-such-user/cache" in capsys.readouterr().err


@pytest.mark.parametrize("theirs", ["suite.yaml", "notes.txt", "run.json", "records/mine.json"])
def test_a_folder_of_the_users_is_left_as_it_is(theirs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / theirs).parent.mkdir(parents=True)
    (home / theirs).write_text(TINY if theirs == "suite.yaml" else '{"mine": true}')
    suite = home / theirs if theirs == "suite.yaml" else tmp_path / "other.yaml"
    suite.write_text(suite.read_text() if suite.exists() else TINY)
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    monkeypatch.chdir(home)
    for out in (".", home, f"{home}/../home/"):
        done = harness(tmp_path / "cache", "run", suite, "--out", home if out == "." else out)
        assert done.returncode == 2, done.stderr
        assert f"{theirs.partition('/')[0]!r} is in it" in done.stderr and "name another" in done.stderr
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_our_own_folder_is_ours_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "out")
    assert folder.stranger() is None, "there is none yet"
    with folder.locked():
        assert folder.stranger() is None, "a run that was killed at once"
    folder.write_journal({"suite": "x", "cells": [], "sessions": []})
    (folder.root / "suite.yaml").write_text("name: x")
    (folder.root / "notes-of-mine.txt").write_text("x")
    assert folder.stranger() is None
    (folder.root / "run.json").write_text('{"cells": [')
    assert folder.stranger() is not None
    (folder.root / "records").mkdir()
    assert folder.stranger() is None, "a damaged journal beside records"
    (folder.root / "run.json").unlink()
    assert folder.stranger() == "notes-of-mine.txt"

"""Every malformed suite ends in one message that says where, what was found, what was expected and what to do."""

from __future__ import annotations

import functools
import random
import time
from pathlib import Path

import pytest
from malformed import CASES, HEAD, Case
from runs import ROOT

from harness.contract.problems import MOST_PROBLEMS, SuiteError
from harness.machine.escaping import line
from harness.suite import load, yaml_source
from harness.suite import reading as suite_reading

SUITES = ROOT / "suites"


@pytest.fixture(params=yaml_source.LOADERS, ids=lambda loader: loader.__name__)
def loader(request, monkeypatch):
    """Whichever parser the user's PyYAML was built with."""
    monkeypatch.setattr(suite_reading, "read", functools.partial(yaml_source.read, loader=request.param))


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_message(case: Case, loader, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = case.write(tmp_path)
    began = time.process_time()
    with pytest.raises(SuiteError) as caught:
        load(path)
    assert time.process_time() - began < 2
    problems, message = caught.value.problems, str(caught.value)
    assert len(message) < 20_000
    assert [problem.line for problem in problems] == [case.line], message
    assert message.startswith(line(f"{path}:{case.line}: " if case.line else f"{path}: "))
    for words in case.words:
        assert words in message
    assert len(problems[0].message.split("; ")) >= 3, "what was found; what was expected; what to do"
    assert not (tmp_path / "sentinel").exists()


def test_ids_are_unique():
    assert len({case.id for case in CASES}) == len(CASES)


def test_what_the_cases_start_from_is_fine(tmp_path):
    (tmp_path / "suite.yaml").write_text(HEAD)
    assert len(load(tmp_path / "suite.yaml").cells()) == 1


def test_all_problems_at_once(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(
        "name: a b\n"
        "seds: [0]\n"
        "k: [0, '5']\n"
        "k: [1]\n"
        "about: !mine text\n"
        "tasks:\n"
        "  - {dataset: soundscape}\n"
        "  - {dataset: shapes, split: tset}\n"
        "retrievers:\n"
        "  a: {kind: randon}\n"
        "  b: {kind: dual_tower, search: {efSearch: [16, many, more]}, index: 5}\n"
    )
    with pytest.raises(SuiteError) as caught:
        load(path)
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3, 3, 4, 5, 7, 8, 10, 11, 11, 11]
    assert len(str(caught.value).splitlines()) == 12


def test_what_is_wrong_once_is_told_once(tmp_path):
    """A broken encoder isn't told again of the tasks that use it."""
    path = tmp_path / "suite.yaml"
    path.write_text(
        "name: x\nencoders:\n  a: {kind: smal}\n"
        "tasks: [{dataset: shapes, encoder: a}, {dataset: coco, encoder: a}]\n"
        "retrievers: {dual: {kind: dual_tower, search: {x: [1, 2]}}}\n"
    )
    with pytest.raises(SuiteError) as caught:
        load(path)
    assert [problem.line for problem in caught.value.problems] == [3]


def test_there_is_an_end_to_complaints(tmp_path):
    path = tmp_path / "suite.yaml"
    names = "".join(f"  encoder-{number}: {{kind: smal, trained_on: shape}}\n" for number in range(1500))
    path.write_text(HEAD + "encoders:\n" + names)
    began = time.process_time()
    with pytest.raises(SuiteError, match="there may be more") as caught:
        load(path)
    assert len(caught.value.problems) == MOST_PROBLEMS + 1
    assert time.process_time() - began < 2


def test_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "suite.yaml"
    path.write_text(HEAD)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # chmod would not stop root
    with pytest.raises(SuiteError, match=r"Permission denied.*permissions"):
        load(path)


def test_nothing_else_comes_out_of_a_damaged_file(loader, tmp_path):
    """A slip of the finger anywhere in a real suite: either it still is one, or the file and the problem are named."""
    path, whole = tmp_path / "suite.yaml", (SUITES / "smoke.yaml").read_bytes()
    pieces = [
        b"",
        b"\t",
        b"[",
        b"]",
        b"{",
        b"}",
        b": ",
        b"- ",
        b"&a ",
        b"*a",
        b"!x ",
        b"'",
        b'"',
        b"\n",
        b"\0",
        b"\xff",
        b"9" * 30,
    ]
    dice, refused = random.Random(0), 0
    for _ in range(150):
        start = dice.randrange(len(whole))
        path.write_bytes(whole[:start] + dice.choice(pieces) + whole[start + dice.choice([0, 1, 5, 40]) :])
        try:
            load(path)
        except SuiteError as error:
            refused += 1
            assert all(str(path) in line for line in str(error).splitlines())
    assert refused > 50

"""What is said of an error in one line."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest
import torch

from harness.contest.isolated import Failed
from harness.contract.problems import last_line


def _of_several_lines() -> None:
    raise ValueError("my own bug\nsecond line\n  third")


def _with_a_note() -> None:
    error = ValueError("my own bug")
    error.add_note("seen at noon")
    raise error


def _chained() -> None:
    try:
        _of_several_lines()
    except ValueError as error:
        raise RuntimeError("what came of it\nmore") from error


def _from_a_child() -> None:
    raise Failed(text(_of_several_lines))


def _of_torch() -> None:
    torch.nn.Linear(2, 2).load_state_dict({"other": torch.zeros(1)})


def _of_syntax() -> None:
    compile("def (", "theirs.py", "exec")


def text(fails: Callable[[], None]) -> str:
    try:
        fails()
    except Exception:
        return traceback.format_exc()
    raise AssertionError


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (_of_several_lines, "ValueError: my own bug"),
        (_with_a_note, "ValueError: my own bug"),
        (_chained, "RuntimeError: what came of it"),
        (_from_a_child, "ValueError: my own bug"),
        (_of_torch, 'RuntimeError: Error(s) in loading state_dict for Linear: Missing key(s) in state_dict: "weight"'),
        (_of_syntax, "SyntaxError: "),
    ],
)
def test_of_a_traceback_it_is_where_the_exception_begins(fails: Callable[[], None], words: str) -> None:
    told = last_line(text(fails))
    assert told.startswith(words) and "\n" not in told
    assert "second" not in told and "more" not in told


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", ""),
        ("one line", "one line"),
        ("mine.csv:2: odd\nmine.csv:3: odder\n", "mine.csv:3: odder"),
        (
            f"it said last:\n{text(_of_several_lines)}its process ended with exit code 7",
            "its process ended with exit code 7",
        ),
    ],
)
def test_of_a_plain_message_it_is_the_last_line(message: str, words: str) -> None:
    assert last_line(message) == words

"""A run's folder: what lies there is trusted only as far as it can be checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import add, write_page

from harness.store.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path)
    write_page(made)
    add(made)
    return made


def test_a_record_comes_with_its_answers_and_questions(folder: RunFolder) -> None:
    assert [each["retriever"] for each in folder.records()] == ["dual"]


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"x")])
def test_a_record_whose_questions_are_gone_is_passed_over(folder: RunFolder, harm) -> None:
    harm(next((folder.root / "tasks").iterdir()))
    assert folder.records() == []


def test_a_record_of_other_questions_is_passed_over(folder: RunFolder) -> None:
    other = add(folder, retriever="newer", digest="others")
    write_page(folder, "others")
    assert [each["retriever"] for each in folder.records()] == ["newer"]
    assert folder.record(other) is not None


def test_a_record_whose_ranking_was_altered_is_passed_over(folder: RunFolder) -> None:
    path = next((folder.root / "rankings").iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert folder.records() == []


@pytest.mark.parametrize(
    "text", ["rubbish", "[]", "{}", '{"sessions": null, "cells": []}', '{"sessions": [], "cells": 3}', '{"cells": []}']
)
def test_a_broken_journal_costs_nothing_but_itself(folder: RunFolder, text: str) -> None:
    (folder.root / "run.json").write_text(text)
    assert folder.journal() == {"cells": [], "sessions": []}
    assert len(folder.records()) == 1


def test_records_come_in_the_order_of_the_last_run_then_the_others(folder: RunFolder) -> None:
    names = [add(folder, retriever=name) for name in ("alpha", "zeta")]
    folder.write_journal({"cells": [names[1], "no-such-cell"], "sessions": []})
    assert [each["retriever"] for each in folder.records()] == ["zeta", "alpha", "dual"]

"""What a student keeps of its teacher, on the queries that both answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folders import add, write_page

from harness.report import starts
from harness.results import rows as results
from harness.store.run_folder import RunFolder

TEACHER = {"kind": "dual_tuned", "steps": 8}


def contest(
    folder: RunFolder, *named: tuple[str, list[int], dict[str, Any]], **used: dict[str, Any]
) -> dict[str, list[starts.Kept]]:
    """`used`: by retriever, the instruments that stand beside it in its record."""
    write_page(folder)
    for name, answers, config in named:
        add(folder, retriever=name, answers=answers, config={"retriever": config, **used.get(name, {})})
    return starts.kept(folder, results.rows(folder, folder.records()))


def pairs(found: dict[str, list[starts.Kept]]) -> list[tuple[str, str]]:
    return sorted((each.row.retriever, each.start.retriever) for members in found.values() for each in members)


def test_a_student_that_finds_half_of_what_its_teacher_finds_keeps_half(tmp_path: Path) -> None:
    found = contest(
        RunFolder(tmp_path),
        ("student", [0, 2, 2, 1], {"kind": "cart", "start": TEACHER}),  # right: 0, 2
        ("teacher", [0, 1, 2, 3], TEACHER),
        ("orphan", [0, 1, 2, 3], {"kind": "cart", "start": {"kind": "dual_tuned", "steps": 9}}),
        ("plain", [0, 1, 2, 3], {"kind": "dual_tower"}),
    )
    ((each,),) = found.values()
    assert (each.row.retriever, each.start.retriever) == ("student", "teacher")
    assert each.share.value == pytest.approx(0.5) and each.points.value == pytest.approx(-0.5)
    assert each.deeper is None, "these rankings are two deep"
    page = starts.markdown(found)
    assert "| student | teacher |" in page and "| 50.0 [" in page and "-50.0 [" in page


def test_a_teacher_that_finds_nothing_leaves_nothing_to_keep(tmp_path: Path) -> None:
    named = ("student", [0, 1, 2, 3], {"kind": "cart", "start": TEACHER}), ("teacher", [1, 0, 3, 2], TEACHER)
    assert contest(RunFolder(tmp_path), *named) == {}


def small(steps: int) -> dict[str, Any]:
    return {"kind": "small", "steps": steps}


def test_two_with_equal_settings_on_different_encoders_are_two_starts(tmp_path: Path) -> None:
    student = {"kind": "cart", "start": TEACHER}
    named = [(name, [0, 1, 2, 3], TEACHER) for name in ("teacher", "other-teacher")]
    named += [(name, [0, 1, 2, 2], student) for name in ("student", "other-student", "third-student")]
    encoders = {"teacher": 1, "student": 1, "other-teacher": 2, "other-student": 2, "third-student": 3}
    used = {name: {"encoder": small(steps), "captioner": small(9)} for name, steps in encoders.items()}
    found = contest(RunFolder(tmp_path), *named, **used)
    assert pairs(found) == [("other-student", "other-teacher"), ("student", "teacher")]


def test_a_start_may_have_instruments_of_its_own(tmp_path: Path) -> None:
    """Alone, they stand beside it; inside another one, among its settings."""
    found = contest(
        RunFolder(tmp_path),
        ("student", [0, 1, 2, 2], {"kind": "cart", "start": {**TEACHER, "captioner": small(2)}}),
        ("usual", [0, 1, 2, 3], TEACHER),
        ("many", [0, 1, 2, 3], TEACHER),
        student={"encoder": small(1), "captioner": small(1)},
        usual={"encoder": small(1), "captioner": small(1)},
        many={"encoder": small(1), "captioner": small(2)},
    )
    assert pairs(found) == [("student", "many")]


def test_a_start_may_need_fewer_instruments_and_be_asked_fewer_queries(tmp_path: Path) -> None:
    found = contest(
        RunFolder(tmp_path),
        ("student", [0, 1, 2, 2], {"kind": "cart", "start": TEACHER, "queries": 3}),
        ("teacher", [0, 1, 2, 3], {**TEACHER, "queries": 2}),
        student={"encoder": small(1), "captioner": small(1)},
        teacher={"encoder": small(1)},
    )
    assert pairs(found) == [("student", "teacher")]


def test_an_encoder_among_the_settings_of_a_start_stays_there(tmp_path: Path) -> None:
    start = {**TEACHER, "encoder": small(3)}
    named = ("student", [0, 1, 2, 2], {"kind": "cart", "start": start}), ("teacher", [0, 1, 2, 3], start)
    used = {"student": {"encoder": small(1)}, "teacher": {}}
    assert pairs(contest(RunFolder(tmp_path), *named, **used)) == [("student", "teacher")]

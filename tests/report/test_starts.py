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


def contest(folder: RunFolder, *named: tuple[str, list[int], dict[str, Any]]) -> dict[str, list[starts.Kept]]:
    write_page(folder)
    for name, answers, config in named:
        add(folder, retriever=name, answers=answers, config={"retriever": config})
    return starts.kept(folder, results.rows(folder, folder.records()))


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

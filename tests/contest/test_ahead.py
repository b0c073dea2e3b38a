"""How far a run is, said cell by cell."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from runs import TINY

from harness.contest import runner
from harness.contest.ahead import Ahead, nothing
from harness.contest.costs import Cost
from harness.contest.estimate import Estimate, Part
from harness.suite import load
from harness.suite.spec import Cell


def test_it_counts_cells_and_what_the_others_take(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    cells = load(tmp_path / "tiny.yaml").cells()[:3]

    def expected(left: list[Cell]) -> Estimate:
        return Estimate(tuple(Part(cell.retriever.name, Cost(100.0), "as before") for cell in left))

    ahead = Ahead(cells, expected)
    assert ahead.passed(cells[1]) == "; 1 of 3 cells, about 3 min to make the others"
    assert ahead.passed(cells[1]) == "", "once"
    assert ahead.passed(cells[0]) == "; 2 of 3 cells, about 2 min to make the others"
    assert ahead.passed(cells[2]) == "; 3 of 3 cells"
    assert nothing().passed(cells[0]) == ""


def test_what_is_unknown_is_not_promised() -> None:
    unknown = Part("cart", None, "not known yet")
    assert Estimate((unknown,)).left == "an unknown time"
    assert Estimate((unknown, Part("dual", Cost(30.0), "as before"))).left == "more than 30 s"
    assert Estimate(()).left == ""


def test_the_page_is_made_after_each_contest_but_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one's page is the run's own, made anyway."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    happened: list[str] = []

    def contest(session: Any, builder: Any, cells: list[Cell]) -> int:
        happened.append(cells[0].task.name)
        return 0

    monkeypatch.setattr(runner, "_contest", contest)
    monkeypatch.setattr(runner, "Builder", lambda store, data: None)
    folder = SimpleNamespace(record=lambda name: None)
    session: Any = SimpleNamespace(
        suite=load(tmp_path / "tiny.yaml"), folder=folder, store=None, data=None, fails={}, ahead=nothing()
    )
    runner.run(session, lambda: happened.append("page"))
    assert happened == ["sounds/test/text-audio", "page", "pictures/test/text-image"]

"""What a terminal shows: seven columns, 120 letters, and one row for those who answered alike."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from folders import FIRST, TASK, add, write_page

from harness.report import plots, several, terminal
from harness.results import rows as results
from harness.store import record
from harness.store.run_folder import RunFolder

SERVED: Any = {"rates": [{"rate": 10.0, "share": 0.5, "p99_ms": 9.0, "overloaded": False, "queries": 9}]}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    write_page(made)
    return made


def shown(rows: list[results.Row], ks: list[int] | None = None, session: str | None = None) -> str:
    out = io.StringIO()
    terminal.show(rows, ks or [1, 5], session, out)
    return out.getvalue()


def table(text: str) -> list[list[str]]:
    """The head and the rows, cell by cell."""
    lines = text.splitlines()
    rule = next(number for number, each in enumerate(lines) if "───" in each)
    body = lines[rule + 1 : rule + next(n for n, each in enumerate(lines[rule:]) if not each.strip())]
    return [each.split("  ") for each in (lines[rule - 1], *body)]


def test_seven_columns_at_most_and_120_letters(folder: RunFolder) -> None:
    data: Any = record.load(folder.record_path(add(folder)))["data"]
    speed: Any = record.load(FIRST)["speed"] | {"server": {**SERVED, "bound_ms": 5, "within_bound": 3.0}}
    for number in range(3):
        name = f"a-retriever-with-a-long-name@setting={'9' * 40}-{number}"
        add(folder, number, name, data={**data, "positives": 5.0, "sampled_queries": 3}, speed=speed)
    text = shown(results.rows(folder, folder.records()), session="another")
    assert all(len(each.rstrip()) <= terminal.WIDTH for each in text.splitlines()), text
    heads = [each.strip() for each in table(text)[0] if each.strip()]
    assert heads == ["retriever", "paradigm", "hit@1 %", "hit@5 %", "recall@5 %", "queries/s", "p50 ms"]
    assert "(of 3)" in text and "timing reused" in text


def test_without_single_queries_the_next_column_takes_their_place(folder: RunFolder) -> None:
    speed: Any = record.load(FIRST)["speed"]
    add(folder, speed={"session": "s", "noise": {"others": 0.0}, "offline": speed["offline"], "server": SERVED})
    heads = [each.strip() for each in table(shown(results.rows(folder, folder.records())))[0] if each.strip()]
    assert heads == ["retriever", "paradigm", "hit@1 %", "hit@5 %", "queries/s", "p99 ms at 50 % load", "prepare s"]


def test_those_who_gave_the_same_answers_stand_in_one_row(folder: RunFolder) -> None:
    for name in ("exact", "flat", "hnsw", "ivf"):
        add(folder, 0, name)
    add(folder, 0, "other", answers=[1, 0, 3, 2])
    add(folder, 0, "student", paradigm="generative")
    text = shown(results.rows(folder, folder.records()))
    assert [row[0].strip() for row in table(text)[1:]] == ["exact, flat +2", "other", "student"]
    assert terminal.SAME.split(";")[0] in text
    add(folder, 0, "flat", metrics={"hit@1": {"value": 0.5, "low": 0.1, "high": 0.9}})
    assert "exact, hnsw +1" in shown(results.rows(folder, folder.records()))


def test_several_runs_stand_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "PLOTS", [])  # which takes a second each
    places = [tmp_path / "first", tmp_path / "second"]
    for place, digest in zip(places, ("these", "those"), strict=True):
        folder = RunFolder(place)
        write_page(folder, digest)
        for name in ("dual", "other"):
            add(folder, 0, name, digest, answers=[0, 1, 3, 2] if name == "other" else None)
    several.remake(places)
    text = capsys.readouterr().out
    assert text.count(TASK + "\n") == 1 and "not asked the same questions" in text
    names = [row[0].strip() for row in table(text)]
    assert names == ["run", "first", "first", "second", "second"]
    assert f"first: {TASK} (generated data, 4 candidates)" in text and "second: " in text
    assert all((place / "tables/main.md").exists() for place in places)
    assert several.names([Path("/a/run"), Path("/b/run"), Path("/c/x")]) == ["/a/run", "/b/run", "x"]

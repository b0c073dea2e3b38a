"""Published figures: in a table of their own, with their source, and only where a run asks the same question."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from folders import FIRST, add, write_page

from harness import report
from harness.contract.settings import PARADIGMS
from harness.report import published
from harness.store import record
from harness.store.run_folder import RunFolder
from harness.suite.registry import kinds


def asking(task: str, kind: str) -> Any:
    found: Any = record.load(FIRST)
    return {**found, "task": task, "config": {**found["config"], "dataset": {"kind": kind}}}


def test_every_figure_is_of_a_dataset_that_is_known_and_says_where_it_stands() -> None:
    found = published.figures()
    assert len(found) > 40
    assert {figure.dataset for figure in found} == {"flickr30k", "coco", "clotho", "audiocaps", "msrvtt", "msvd"}
    for figure in found:
        assert figure.dataset in kinds("datasets") and figure.source and figure.method
        assert figure.paradigm in ("", *PARADIGMS)
        given = [number for number in (*figure.recall, figure.mrr) if number is not None]
        assert given and all(0 < number <= 100 for number in given)
        grown = [number for number in figure.recall if number is not None]
        assert grown == sorted(grown), f"{figure.method}: recall grows with k"
    assert len(set(found)) == len(found)
    assert all("secondary notes" in figure.source for figure in found if figure.method.startswith("CART"))


@pytest.mark.parametrize(
    ("task", "kind", "datasets"),
    [
        ("clotho/test/text-audio", "clotho", {"clotho"}),
        ("mine/test/text-audio", "clotho", {"clotho"}),  # a name of one's own
        ("clotho/test/audio-text", "clotho", set()),
        ("clotho/validation/text-audio", "clotho", set()),
        ("soundscapes/test/text-audio", "soundscapes", set()),
    ],
)
def test_only_the_same_question_is_answered(task: str, kind: str, datasets: set[str]) -> None:
    assert {figure.dataset for figure in published.of([asking(task, kind)])} == datasets


def test_they_stand_apart_from_what_was_measured(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    config = record.load(FIRST)["config"]
    add(folder, config={**config, "dataset": {"kind": "clotho"}})
    renamed = [{**each, "task": "clotho/test/text-audio"} for each in folder.records()]
    path = published.write(folder, renamed)  # type: ignore[arg-type]
    assert path is not None
    text = path.read_text()
    assert text.startswith("# Published figures, not measured here")
    assert "| clotho | Cacophony | dual-tower | 20.2 | – | – | – | – |  | Cacophony (arXiv 2402.06986) |" in text
    main = tmp_path / "tables" / "main.md"
    report.write(folder, "tiny", folder.records())
    assert "others report" in main.read_text() and "published.md" in main.read_text()
    unasked: Any = [{**each, "config": config} for each in folder.records()]
    rows = report.write(folder, "tiny", unasked).rows
    assert not path.exists(), "left over from when the run asked Clotho"
    assert "published.md" not in main.read_text() and "Cacophony" not in main.read_text()
    shown = io.StringIO()
    report.show(rows, [1], None, shown)
    assert "Cacophony" not in shown.getvalue()

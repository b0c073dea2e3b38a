"""What is found against one setting: which rows make a line, and what the figure says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folders import FIRST

from harness.report import sweeps
from harness.results import rows as results
from harness.store import record

TASK = "sounds/test/text-audio"


def row(name: str, value: float, config: dict[str, Any], task: str = TASK, items: int = 4) -> results.Row:
    found: Any = record.load(FIRST)
    found["config"] = {**found["config"], "retriever": config}
    found["data"] |= {"items": items}
    metric: Any = {"value": value, "low": value - 0.1, "high": value + 0.1}
    paradigm = "generative" if config["kind"] == "cart" else "dual-tower"
    return results.Row(task, name, paradigm, "ok", "", (0,), ("s",), {"hit@1": metric}, (found,))


def beams(*values: int, **others: Any) -> list[results.Row]:
    return [row(f"cart@beams={each}", each / 100, {"kind": "cart", "beams": each, **others}) for each in values]


def test_variants_of_one_number_are_a_line_in_its_order() -> None:
    ((title, (sweep,)),) = sweeps.sweeps(beams(20, 5, 10)).items()
    assert (title, sweep.name, sweep.setting, list(sweep.rows)) == (f"{TASK}, by beams", "cart", "beams", [5, 10, 20])


def test_the_setting_may_be_that_of_the_start() -> None:
    texts = [
        row(f"cart@start={count}", 0.5, {"kind": "cart", "start": {"kind": "dual_tuned", "teacher_texts": count}})
        for count in (10, 20, 40)
    ]
    ((_, (sweep,)),) = sweeps.sweeps(texts).items()
    assert (sweep.setting, list(sweep.rows)) == ("teacher_texts", [10, 20, 40])


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        ("two points", beams(5, 10)),
        ("two settings", [*beams(5, 10), *beams(20, steps=9)]),
        ("names", [row(f"cart@start={each}", 0.5, {"kind": "cart", "start": each}) for each in ("a", "b", "c")]),
        ("switches", [row(f"x@a={each}", 0.5, {"kind": "x", "a": each}) for each in (True, False, None)]),
        ("others", [row(name, 0.5, {"kind": "x", "a": number}) for number, name in enumerate("abc")]),
    ],
)
def test_anything_else_is_no_line(what: str, rows: list[results.Row]) -> None:
    assert sweeps.sweeps(rows) == {}, what
    assert sweeps.found_against_setting(rows, Path("nowhere")) == []


def test_galleries_of_several_sizes_are_a_line_too() -> None:
    rows = [
        row("dual", 0.5, {"kind": "dual_tower"}, f"{TASK}/gallery={size}", size) for size in (10_000, 1000, 100_000)
    ]
    ((title, (sweep,)),) = sweeps.sweeps(rows).items()
    assert (title, list(sweep.rows)) == (f"{TASK}, by candidates", [1000, 10_000, 100_000])


def test_the_figure_has_a_line_a_contestant_and_what_it_is_seen_beside(tmp_path: Path) -> None:
    plain = row("plain $dual", 0.4, {"kind": "dual_tower"})
    first = sweeps.found_against_setting([*beams(5, 10, 20), plain], tmp_path)
    before = [path.read_bytes() for path in first]
    assert [path.name for path in first] == ["sweeps.svg", "sweeps.png"]
    drawn = before[0].decode()
    assert ">cart</text>" in drawn and "cart@beams=5 (generative)" in drawn
    assert "40.0 %" in drawn and "plain $dual 40.0 %" in drawn and "by beams" in drawn
    sweeps.found_against_setting([*beams(5, 10, 20), plain], tmp_path)
    assert [path.read_bytes() for path in first] == before, "the same bytes from the same rows"

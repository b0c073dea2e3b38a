"""All plots of a run: the same bytes, any name, hover text, and no name on another one or cut off."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from folders import FIRST, add, write_page

from harness.report import equal_recall, labels, plots, recall_k_plot, recall_rate_plot, scatter, stages_plot, style
from harness.report.points import Point, Span, merged
from harness.results import folds
from harness.results.rows import Row
from harness.results.rows import rows as rows_of
from harness.store import record
from harness.store.run_folder import RunFolder

REAL = RunFolder(Path(__file__).parents[2] / "results" / "reference" / "smoke")
ODD = "_a$b$_<c>|&d"
BY_NAME = {plot.name: plot for plot in plots.PLOTS}


def drawn(name: str, run: RunFolder, rows: list[Row]) -> plots.Picture:
    picture = BY_NAME[name].draw(run, rows)
    assert picture is not None, name
    return picture


def row(name: str, value: float, qps: float, paradigm: str = "dual-tower", **changes: Any) -> Row:
    found: Any = record.load(FIRST)
    found["config"] = {
        **found["config"],
        "retriever": {"kind": "dual_tower", "name": name, **changes.get("config", {})},
    }
    found["speed"]["offline"]["qps"] |= {"median": qps, "q25": 0.95 * qps, "q75": 1.05 * qps}
    found["speed"]["offline"]["stages"] = changes.get("stages", {"encode": 0.4 / qps, "search": 0.3 / qps})
    found["cost"] |= {"fit_s": 1000 / qps, "index_s": 1.0}
    level = {"size": 4, "used": 3, "perplexity": 2.5}
    found["details"] = {"identifiers": {"levels": [level, level]}} if paradigm == "generative" else {}
    metrics: Any = {
        f"hit@{k}": {"value": min(1.0, value * k**0.2), "low": value - 0.02, "high": min(1.0, value * k**0.2 + 0.02)}
        for k in (1, 5, 10)
    }
    task = changes.get("task", "sounds/test/text-audio")
    return Row(task, name, paradigm, "ok", "", (0,), ("s",), metrics, (found,), asked=changes.get("asked"))


def some() -> list[Row]:
    return [
        row(ODD, 0.5, 1000),
        row("cart", 0.4, 100, "generative", config={"beams": 5}, stages={"encode": 0.001, "decode": 0.008}),
        row("cart", 0.4, 100, "generative", task="sounds/test/audio-text"),
        row("likelihood", 0.6, 3, "single-tower", asked=2, stages={"score": 0.3}),
        row("their own", 0.3, 50, "of others", stages={}),
    ]


@pytest.mark.parametrize(
    "name", ["recall-rate", "tasks", "recall-k", "latency", "stages", "preparation", "identifiers"]
)
def test_any_name_gives_the_same_bytes_twice_and_a_sound_svg(tmp_path: Path, name: str) -> None:
    """And settings that a user has of Matplotlib change nothing, nor are they changed."""
    import matplotlib as mpl

    draws = []
    for size in (10.0, 30.0):
        with mpl.rc_context({"font.size": size}):
            paths = drawn(name, RunFolder(tmp_path), some()).files
            assert mpl.rcParams["font.size"] == size
        assert [path.name for path in paths] == [f"{name}.svg", f"{name}.png"]
        draws.append([path.read_bytes() for path in paths])
    assert draws[0] == draws[1]
    root = ElementTree.fromstring(draws[0][0])
    shown = [each.text or "" for each in root.iter() if each.tag.endswith("}text")]
    told = [each.text or "" for each in root.iter() if each.tag.endswith("}title")]
    ids = [each.get("id") for each in root.iter() if (each.get("id") or "").startswith(f"{name}-")]
    if name != "identifiers":
        assert any(ODD in each for each in shown) and any(each.startswith(ODD) for each in told)
    assert any("cart" in each for each in told) and len(ids) == len(set(ids)) == len(told)
    assert "hover" not in draws[0][0].decode()


def test_every_plot_says_in_words_what_it_shows_and_draws_nothing_of_nothing(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write_page(run)
    for plot in plots.PLOTS:
        assert plot.draw(run, []) is None and not (tmp_path / "plots").exists(), plot.name
    for name in ("recall-rate", "tasks", "recall-k", "latency", "stages", "preparation", "identifiers"):
        assert "sounds/test/text-audio: " in drawn(name, run, some()).alt, name


def test_a_plot_that_has_nothing_left_to_show_is_removed(tmp_path: Path) -> None:
    old = tmp_path / "plots" / "beams.svg"
    old.parent.mkdir()
    old.write_text("old")
    written = plots.write(RunFolder(tmp_path), [])
    assert not written and not old.exists()


@pytest.fixture(scope="module")
def real() -> list[Row]:
    return folds.with_means(rows_of(REAL, REAL.records()))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Those that would have been written."""
    kept: list[Any] = []
    monkeypatch.setattr(style, "_written", lambda figure, path: kept.append(figure) or path)
    yield kept


@pytest.mark.parametrize("name", ["recall-rate", "tasks", "recall-k", "equal-recall", "stages", "preparation"])
def test_of_a_real_run_no_text_lies_on_another_or_is_cut_off(
    real: list[Any], figures: list[Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equal_recall, "comparable", lambda *rows: True)  # it was timed beside other work
    assert BY_NAME[name].draw(REAL, real)
    apart_and_whole(figures[0])


def apart_and_whole(figure: Any) -> None:
    from matplotlib.text import Text

    with style.styled():
        figure.draw_without_rendering()  # annotations know their places when they were drawn
        texts = [each for each in figure.findobj(Text) if each.get_text().strip() and each.get_visible()]
        boxes = [(each.get_text(), Text.get_window_extent(each)) for each in texts]
    ticks = {label.get_text() for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())}
    named = [(text, box) for text, box in boxes if text not in ticks]  # ticks outside of the limits aren't drawn
    for text, box in named:
        assert figure.bbox.x0 - 1 <= box.x0 and box.x1 <= figure.bbox.x1 + 1, f"{text} is cut off"
        assert figure.bbox.y0 - 1 <= box.y0 and box.y1 <= figure.bbox.y1 + 1, f"{text} is cut off"
    for (one, first), (other, second) in combinations(named, 2):
        wide = min(first.x1, second.x1) - max(first.x0, second.x0)
        high = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert wide < 1 or high < 0.3 * min(first.height, second.height), f"{one} lies on {other}"


def test_names_of_a_crowd_are_apart_too(tmp_path: Path, figures: list[Any]) -> None:
    rng = np.random.default_rng(0)
    rows = [row(f"cart-variant-{n}", 0.5 + rng.normal(0, 0.01), 100 * (1 + rng.normal(0, 0.05))) for n in range(18)]
    assert BY_NAME["recall-rate"].draw(RunFolder(tmp_path), rows)
    apart_and_whole(figures[0])
    from matplotlib.text import Annotation

    names = [each for each in figures[0].findobj(Annotation) if each.get_text().startswith("cart-variant")]
    assert len(names) == len(recall_rate_plot.points_of(rows)) > 10, "each finds a place"


def point(name: str, x: float, y: float, paradigm: str = "dual-tower", asked: int | None = None) -> Point:
    return Point(Span(x, 0.97 * x, 1.03 * x), Span(y, y - 1, y + 1), paradigm, asked, (name,), f"{name}: told")


def test_those_that_lie_on_each_other_are_one_point() -> None:
    a, b = point("a", 100, 50), point("b", 104, 50)
    found = merged([a, b, point("c", 104, 50.2), point("d", 104, 50, "control"), point("e", 120, 50), a])
    assert [each.names for each in found] == [("a", "b", "a"), ("c",), ("d",), ("e",)]
    assert found[0].label == "a +2" and found[0].words.count("\n") == 2
    assert merged([a, point("f", 100, 50, asked=500)])[1].label == "f (of 500)"


def test_the_frontier_is_the_most_at_a_rate_or_above_or_for_a_cost_or_less() -> None:
    points = [point("slow", 1, 60), point("poor", 5, 30), point("both", 10, 50), point("quick", 100, 40)]
    assert scatter.frontier(points) == [(1, 60), (1, 50), (10, 50), (10, 40), (100, 40)]
    assert scatter.frontier(points, more=False) == [(1, 60)]
    assert scatter.frontier([*points, point("dear", 200, 70)], more=False) == [(200, 70), (200, 60), (1, 60)]


def test_heights_are_moved_apart_but_not_beyond_the_ends() -> None:
    found = labels.apart(np.array([50.0, 10.0, 51.0, 99.0]), 10.0, (0.0, 95.0))
    assert found.tolist() == [45.5, 10.0, 55.5, 95.0]
    assert labels.apart(np.full(3, 0.0), 10.0, (0.0, 95.0)).tolist() == [0.0, 10.0, 20.0]


def test_of_many_curves_the_best_of_each_paradigm_come_first() -> None:
    rows = [row(f"dual-{n}", 0.9 - n / 100, 10) for n in range(10)] + [row("cart", 0.1, 5, "generative")]
    rows.append(row("dual-again", 0.9, 99))
    heads = recall_k_plot.chosen(rows)
    assert [each.retriever for each, _ in heads][:3] == ["dual-0", "cart", "dual-1"] and len(
        heads
    ) == recall_k_plot.MOST
    assert heads[0][1] == 1, "one more has the very same curve"


def test_stages_and_what_none_of_them_is() -> None:
    found = stages_plot.stages(row("a", 0.5, 100, stages={"encode": 0.004, "search": 0.005}))
    assert found == pytest.approx({"encode": 4.0, "search": 5.0, "rest": 1.0})
    assert stages_plot.stages(row("a", 0.5, 100, stages={})) == {}
    assert stages_plot.limit([1.0, 2.0, 3.0, 500.0]) < 5 and stages_plot.limit([1.0, 2.0]) > 2


def test_beams_are_compared_where_nothing_else_differs(tmp_path: Path) -> None:
    rows = [
        row("cart", 0.5, 10, "generative", config={"name": "", "beams": 20}),
        row("cart-few", 0.45, 20, "generative", config={"name": "", "beams": 5}),
        row("cart-other", 0.4, 30, "generative", config={"name": "", "beams": 10, "steps": 9}),
    ]
    svg, _ = drawn("beams", RunFolder(tmp_path), rows).files
    assert "20 beams" in svg.read_text() and "5 beams" in svg.read_text() and "10 beams" not in svg.read_text()
    assert BY_NAME["beams"].draw(RunFolder(tmp_path), rows[1:]) is None


def test_ablations_are_drawn_from_their_rankings(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write_page(run)
    add(run, retriever="cart", answers=[0, 1, 2, 3])
    add(run, retriever="cart-no-fusion", answers=[1, 0, 3, 2])
    run.write_journal({"cells": [], "sessions": [], "ablation": {"cart": ["cart-no-fusion"]}})
    rows = rows_of(run, run.records())
    svg, _ = drawn("ablation", run, rows).files
    assert "no-fusion</text>" in svg.read_text() and "<title>cart-no-fusion: -100.0" in svg.read_text()
    assert "no-fusion -100.0" in drawn("ablation", run, rows).alt

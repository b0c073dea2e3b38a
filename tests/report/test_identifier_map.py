"""The map of candidates by identifier: drawn where a run has kept one, the same each time, with its shares in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from folders import TASK, add, write_page
from harm import flip

from harness.report import identifier_map_plot, plots
from harness.results.rows import Row, rows
from harness.store.maps import Map
from harness.store.run_folder import RunFolder, cell_name

PLOT = next(each for each in plots.PLOTS if each.name == "identifier-map")


def drawn(run: RunFolder, members: list[Row]) -> plots.Picture:
    picture = PLOT.draw(run, members)
    assert picture is not None
    return picture


RNG = np.random.default_rng(0)
GROUPS = np.repeat(np.arange(12), [40, *[20] * 10, 1])
FOUND = Map(
    np.arange(241),
    (RNG.normal(size=(12, 2))[GROUPS] * 30 + RNG.normal(size=(241, 2))).astype(np.float32),
    np.column_stack([GROUPS, RNG.integers(9, size=(241, 2))]).astype(np.int32),
    10,
    0.912,
    0.0834,
)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path)
    write_page(made)
    add(made, retriever="dual")
    return made


def known(run: RunFolder, *names: str, found: Map = FOUND) -> list[Row]:
    """Rows of the run with these generative retrievers, each with a map in it."""
    for name in names:
        add(run, retriever=name, paradigm="generative")
        run.write_map(cell_name(TASK, name, 0), found)
    return rows(run, run.records())


def test_a_map_is_drawn_the_same_each_time(run: RunFolder) -> None:
    members = known(run, "cart")
    draws = [[path.read_bytes() for path in drawn(run, members).files] for _ in range(2)]
    assert len(draws[0]) == 2 and draws[0] == draws[1]
    root = ElementTree.fromstring(draws[0][0])
    shown = [each.text for each in root.iter() if each.tag.endswith("}text")]
    told = [each.text for each in root.iter() if each.tag.endswith("}title")]
    assert f"{TASK}: cart" in shown and "0 (40)" in shown and "4 others (61)" in shown
    assert "of the 10 nearest by vector 91 %" in shown and "share the first token, by chance 8.3 %" in shown
    assert "first token 0: 40 of 241 candidates" in told and any(str(each).startswith("second token") for each in told)
    assert "91 % of the 10 nearest have the same first token, by chance 8.3 %" in drawn(run, members).alt


def test_without_a_map_or_with_a_damaged_one_nothing_is_drawn(run: RunFolder) -> None:
    assert PLOT.draw(run, rows(run, run.records())) is None
    members = known(run, "cart")
    flip(run.map_path(cell_name(TASK, "cart", 0)))
    assert PLOT.draw(run, members) is None and not (run.root / "plots").exists()


def test_where_no_two_share_a_first_token_there_is_nothing_to_show(run: RunFolder) -> None:
    alone = replace(FOUND, tokens=np.arange(241, dtype=np.int32)[:, None], shared=0.0, chance=0.0)
    assert PLOT.draw(run, known(run, "atomic", found=alone)) is None


def test_the_same_map_is_drawn_once_and_of_many_the_first(run: RunFolder) -> None:
    members = known(run, "cart", "twin")
    (shown,) = identifier_map_plot.maps(run, members)
    assert shown.title == f"{TASK}: cart +1"
    for number in range(identifier_map_plot.MOST):
        members = known(run, f"other-{number}", found=replace(FOUND, places=FOUND.places + number + 1))
    assert len(identifier_map_plot.maps(run, members)) == identifier_map_plot.MOST + 1
    svg, _ = drawn(run, members).files
    assert "1 more, not drawn" in svg.read_text() and f"other-{identifier_map_plot.MOST - 1}" not in svg.read_text()
    assert drawn(run, members).alt.endswith("Maps besides: 1.")

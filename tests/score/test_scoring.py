"""Controls: where they must be, and how far from it they may stray before a run is called broken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from folders import FIRST
from links import grouped, single
from scipy import stats

from baselines.controls import Constant, Random
from harness.contract.dataset import Links, texts
from harness.contract.settings import Settings
from harness.score.metrics import per_query
from harness.score.scoring import _fates, _odds, _range, broken_control, chance
from harness.store import record

FIVE = single(np.repeat(np.arange(1000), 5))  # captions of each item


def control(kind: str, hit: float | None, **data: Any) -> Any:
    """A record of 1,000 candidates and 5,000 queries, of which a control found the share `hit` at once."""
    found: Any = record.load(FIRST)
    found["config"] = {"retriever": {"kind": kind}}
    found["data"] |= {"items": 1000, "queries": 5000, "chance": {"hit@1": 0.001}, "sampled_queries": None, **data}
    found["metrics"] = {"hit@1": {"value": hit, "low": None, "high": None}}
    return found


@pytest.mark.parametrize(
    ("kind", "hit"), [("random", 0.0), ("random", 0.003), ("constant", 0.001), ("oracle", 1.0), ("dual_tower", 0.5)]
)
def test_who_is_where_it_must_be(kind: str, hit: float) -> None:
    assert broken_control(control(kind, hit), FIVE) is None


@pytest.mark.parametrize(
    ("kind", "hit"), [("random", 0.005), ("constant", 0.01), ("oracle", 0.9998), ("random", None), ("oracle", None)]
)
def test_who_is_not(kind: str, hit: float | None) -> None:
    said = broken_control(control(kind, hit), FIVE)
    assert said is not None and f"control dual has hit@1 {hit}" in said


@pytest.mark.parametrize("kind", ["random", "constant"])
def test_few_queries_may_find_more_by_chance(kind: str) -> None:
    assert broken_control(control(kind, 0.1, sampled_queries=10), FIVE.take(np.arange(0, 5000, 500))) is None


def test_the_range_of_chance_is_that_of_coins() -> None:
    low, high = _range(np.full(2000, 0.3), np.arange(2000))
    for edge in (low, high):  # Chernoff's bound is never too narrow, and not much too wide
        tail = stats.binom.cdf(2000 * low, 2000, 0.3) if edge == low else stats.binom.sf(2000 * high - 1, 2000, 0.3)
        assert 1e-8 < tail < 1e-6
    assert _range(np.full(3, 0.5), np.arange(3)) == (0.0, 1.0), "three coins prove nothing"
    assert _range(np.ones(50), np.arange(50)) == pytest.approx((1.0, 1.0), abs=1e-5)


UNEQUAL = np.repeat(np.arange(12), [400, 60, 20, 5, 5, 2, 2, 2, 1, 1, 1, 1])
GALLERIES = {  # links, gallery
    "one caption most of the time": (single(np.repeat(np.arange(50), [400, *[1] * 49])), 50),
    "two items": (single(np.arange(2)), 2),
    "two items, one of them often": (single(np.repeat(np.arange(2), [99, 1])), 2),
    "labels of unequal size": (grouped(UNEQUAL, 12), 500),
    "items of unequal labels": (single(UNEQUAL), 12),
    "several labels an item": (Links.paired(np.repeat(np.arange(9), 30), np.arange(270) * 7 % 100, 9), 100),
    "plain": (single(np.repeat(np.arange(100), 5)), 100),
}


@pytest.mark.parametrize("gallery", GALLERIES)
@pytest.mark.parametrize("kind", ["random", "constant"])
def test_chance_never_breaks_a_control(gallery: str, kind: str) -> None:
    """Whatever the gallery's order: all the queries read the same, and each is as often there as it likes."""
    links, size = GALLERIES[gallery]
    ks, rng, values = [1, 5], np.random.default_rng(1), []
    queries = texts(["the same words"] * len(links))
    for seed in range(60):
        retriever = Random(Settings(), seed=seed) if kind == "random" else Constant(Settings())
        retriever.index(texts([str(item) for item in range(size)]))
        ids = rng.permutation(size)[retriever.search(queries, min(5, size)).ids]
        hits = {name: float(each.mean()) for name, each in per_query(ids, links, ks, size).items()}
        found = control(kind, None, items=size, chance=chance(links, ks, size))
        found["metrics"] = {name: {"value": hits[name], "low": None, "high": None} for name in ("hit@1", "hit@5")}
        assert broken_control(found, links) is None
        values.append(hits["hit@1"])
    odds = _odds(links, 1, size)
    assert np.mean(values) == pytest.approx(odds.mean(), abs=5 * np.std(values) / np.sqrt(60) + 1e-9)


@pytest.mark.parametrize(
    ("kind", "gallery", "hit"),
    [
        ("constant", "large", 0.02),
        ("random", "one caption most of the time", 0.2),  # chance: 0.02
        ("random", "items of unequal labels", 0.2),
        ("constant", "items of unequal labels", 1.0),  # four in five bear one label, but not all of them
        ("random", "labels of unequal size", 1.0),
        ("random", "large", 0.005),
    ],
)
def test_a_cheat_is_caught_all_the_same(kind: str, gallery: str, hit: float) -> None:
    links, size = {**GALLERIES, "large": (FIVE, 1000)}[gallery]
    assert broken_control(control(kind, hit, items=size), links) is not None


def test_queries_of_one_fate_are_those_that_share_a_positive() -> None:
    links = Links.listed([[0], [1, 2], [2, 3], [3], [4]])
    fates = _fates(links)
    assert fates[1] == fates[2] == fates[3]
    assert len(set(fates.tolist())) == 3

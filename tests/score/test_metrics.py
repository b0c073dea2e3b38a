"""Rank metrics against ir-measures, and the rules that every ranking is held to."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, R, Success, nDCG
from links import single

from harness.contract.dataset import Links
from harness.contract.retriever import PAD
from harness.score.metrics import BrokenRanking, check_ranking, per_query

KS = (1, 3, 5, 10, 50)
ORACLE = {
    **{f"hit@{k}": Success @ k for k in KS},
    **{f"recall@{k}": R @ k for k in KS},
    "mrr@10": RR @ 10,
    "map@10": AP @ 10,
    "ndcg@10": nDCG @ 10,
}


def by_ir_measures(ids: np.ndarray, links: Links) -> dict[str, np.ndarray]:
    """The same numbers from ir-measures. Scores fall strictly: how *it* breaks ties is not our question."""
    qrels = {str(q): {str(target): 1 for target in links.of(q)} for q in range(len(links))}
    run = {}
    for q, row in enumerate(ids):
        if found := {str(i): float(len(row) - place) for place, i in enumerate(row) if i != PAD}:
            run[str(q)] = found
    values = {name: np.full(len(links), np.nan) for name in ORACLE}
    names = {measure: name for name, measure in ORACLE.items()}
    for metric in ir_measures.iter_calc(list(names), qrels, run):
        values[names[metric.measure]][int(metric.query_id)] = metric.value
    return values


def assert_agrees(ids: np.ndarray, links: Links, gallery: int) -> None:
    ours, theirs = per_query(ids, links, KS, gallery), by_ir_measures(ids, links)
    assert set(ours) == {*theirs, "rank"}
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=0, atol=1e-9, err_msg=name)
        assert ours[name].dtype == np.float64


def random_case(
    rng: np.random.Generator, queries: int, gallery: int, depth: int, most: int
) -> tuple[np.ndarray, Links]:
    """Rankings of every length from nothing to `depth`, and 1 to `most` positives a query."""
    ids = np.argsort(rng.random((queries, gallery)), axis=1)[:, :depth].astype(np.int64)
    ids[np.arange(depth) >= rng.integers(0, depth + 1, queries)[:, None]] = PAD
    counts = rng.integers(1, most + 1, queries)
    targets = [rng.choice(gallery, size=count, replace=False) for count in counts]
    return ids, Links(np.concatenate([[0], np.cumsum(counts)]), np.concatenate(targets).astype(np.int64))


@pytest.mark.parametrize("most", [1, 2, 15])
def test_agrees_with_ir_measures_on_random_rankings(most: int) -> None:
    ids, links = random_case(np.random.default_rng(most), queries=300, gallery=60, depth=40, most=most)
    assert_agrees(ids, links, 60)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    queries=st.integers(1, 6),
    gallery=st.integers(1, 25),
    depth=st.integers(1, 30),
    most=st.integers(1, 25),
)
def test_agrees_with_ir_measures_on_small_odd_ones(
    seed: int, queries: int, gallery: int, depth: int, most: int
) -> None:
    ids, links = random_case(np.random.default_rng(seed), queries, gallery, min(depth, gallery), min(most, gallery))
    assert_agrees(ids, links, gallery)


def test_one_positive_and_many_take_the_same_road_to_the_same_number(monkeypatch: pytest.MonkeyPatch) -> None:
    ids, links = random_case(np.random.default_rng(0), queries=200, gallery=50, depth=20, most=1)
    alone = per_query(ids, links, KS, 50)
    # One more query, with two positives, sends everybody down the general path; blocks of one row split them all.
    monkeypatch.setattr("harness.score.metrics._BLOCK", 1)
    more = Links(np.append(links.starts, links.starts[-1] + 2), np.append(links.targets, [0, 1]))
    together = per_query(np.vstack([ids, ids[:1]]), more, KS, 50)
    for name, values in alone.items():
        np.testing.assert_array_equal(together[name][:-1], values, err_msg=name)


def test_by_hand() -> None:
    ids = np.array([[4, 2, 0], [1, 3, PAD], [PAD, PAD, PAD]], dtype=np.int64)
    links = Links(np.array([0, 2, 3, 4]), np.array([0, 2, 1, 1]))
    values = per_query(ids, links, (1, 2), gallery=5)
    np.testing.assert_array_equal(values["rank"], [2, 1, np.inf])
    np.testing.assert_array_equal(values["hit@2"], [1, 1, 0])
    np.testing.assert_array_equal(values["recall@2"], [0.5, 1, 0])
    np.testing.assert_allclose(values["map@10"], [(1 / 2 + 2 / 3) / 2, 1, 0])


def test_average_precision_is_over_all_positives_even_beyond_the_cutoff() -> None:
    links = Links(np.array([0, 20]), np.arange(20))
    assert per_query(np.arange(10)[None], links, (10,), 20)["map@10"][0] == pytest.approx(0.5)


def test_no_columns_is_a_miss_for_everyone() -> None:
    values = per_query(np.empty((3, 0), np.int64), single(np.array([0, 1, 2])), (1, 10), gallery=3)
    assert np.isinf(values.pop("rank")).all()
    assert values and not any(each.any() for each in values.values())


@pytest.mark.parametrize(
    ("ids", "links", "gallery", "message"),
    [
        ([[0], [1], [2]], Links(np.array([0, 1, 1, 2]), np.array([0, 1])), 3, "query 1 has no positive"),
        (
            [[0], [1]],
            Links(np.array([0, 2, 5]), np.array([0, 1, 2, 0, 2])),
            3,
            "query 1 is linked to candidate 2 twice",
        ),
        ([[0], [1]], single(np.array([0])), 3, "2 rows of ids for 1 queries"),
        ([[0]], single(np.array([3])), 3, "links reach from 3 to 3: expected 0 to 2"),
        ([[3]], single(np.array([0])), 3, "ids reach from 3 to 3: expected -1 to 2"),
        ([0, 1], single(np.array([0, 1])), 3, r"int64 \[2\]: expected int64 \[queries, depth\]"),
    ],
)
def test_says_what_is_wrong(ids: list, links: Links, gallery: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        per_query(np.array(ids, dtype=np.int64), links, (1,), gallery)


def test_refuses_a_cutoff_of_nothing() -> None:
    with pytest.raises(ValueError, match="k = 0"):
        per_query(np.zeros((1, 1), np.int64), single(np.array([0])), (1, 0), 1)


def ranking(*rows: list[int], scores: list[float] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """These rows after 40 good ones, with falling scores unless others are given."""
    width = len(rows[0])
    ids = np.array([*[list(range(width))] * 40, *rows], dtype=np.int64)
    falling = np.tile(np.arange(width, 0, -1, dtype=np.float32), (len(ids), 1))
    falling[ids == PAD] = -np.inf
    if scores is not None:
        falling[40:] = scores
    return ids, falling


@pytest.mark.parametrize("block", [1, 1 << 20])
@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (ranking([5, 6, 7], [8, 5, 8], [9, 9, 9]), "query 41 has an id twice (2 such)"),
        (ranking([5, 6, 10]), "query 40 has an id outside -1 (nothing) to 9 (1 such)"),
        (ranking([5, 6, -2]), "query 40 has an id outside -1 (nothing) to 9 (1 such)"),
        (
            ranking([5, PAD, 7], scores=[3, 2, 1]),
            "query 40 has an id after -1, which may stand only at the end (1 such)",
        ),
        (ranking([5, 6, 7], scores=[3, np.nan, 1]), "query 40 has a score that isn't a number (1 such)"),
        (
            ranking([5, 6, 7], scores=[3, 1, 2]),
            "query 40 has a score above the one before it: expected best first (1 such)",
        ),
    ],
)
def test_a_broken_ranking_names_its_first_query(
    broken: tuple[np.ndarray, np.ndarray], problem: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.score.metrics._BLOCK", block)
    with pytest.raises(BrokenRanking) as caught:
        check_ranking(*broken, gallery=10)
    assert caught.value.problems == (problem,)


def test_every_problem_of_a_ranking_is_told_at_once() -> None:
    with pytest.raises(BrokenRanking) as caught:
        check_ranking(*ranking([5, 5, 99], scores=[1, 2, np.nan]), gallery=10)
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    "sound",
    [
        ranking([5, PAD, PAD], [PAD, PAD, PAD]),
        ranking([5, 6, 7], scores=[2, 2, 2]),
        ranking([5, 6, 7], scores=[np.inf, 0, -np.inf]),
        (np.empty((0, 3), np.int64), np.empty((0, 3), np.float32)),
        (np.empty((3, 0), np.int64), np.empty((3, 0), np.float32)),
    ],
)
def test_a_sound_ranking_passes(sound: tuple[np.ndarray, np.ndarray]) -> None:
    check_ranking(*sound, gallery=10, shape=sound[0].shape)


def test_shapes_and_types_of_a_ranking() -> None:
    ids, scores = ranking([5, 6, 7])
    for bad_ids, bad_scores, message in (
        (ids.astype(np.int32), scores, "ids are int32: expected a numpy array of int64"),
        (ids, scores.astype(np.float64), "scores are float64: expected a numpy array of float32"),
        (ids.tolist(), scores, "ids are list"),
        (ids[0], scores, r"ids have shape \[3\]: expected \['queries', 'k'\]"),
        (ids[:-1], scores, r"ids have shape \[40, 3\], scores \[41, 3\]"),
    ):
        with pytest.raises(BrokenRanking, match=message):
            check_ranking(bad_ids, bad_scores, gallery=10)
    with pytest.raises(BrokenRanking, match=r"ids have shape \[41, 3\]: expected \[41, 5\]"):
        check_ranking(ids, scores, gallery=10, shape=(41, 5))

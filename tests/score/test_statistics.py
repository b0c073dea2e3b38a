"""Intervals that cover what they say, p-values that are flat when nothing is there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.score.statistics import holm, mean_interval, median_interval, paired_difference, ratio_interval

P = 0.4


def clustered_hits(rng: np.random.Generator, sizes: np.ndarray, p: float = P) -> tuple[np.ndarray, np.ndarray]:
    """Hits of queries about items, some of which are easy and some hard: correlation 0.5 within an item."""
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    easy = rng.beta(p, 1 - p, len(sizes))
    return (rng.random(len(cluster)) < easy[cluster]).astype(np.float64), cluster


def coverage(clusters: int, size: int | None, runs: int, p: float = P, ignore_clusters: bool = False) -> float:
    rng = np.random.default_rng(11)
    covered = 0
    for run in range(runs):
        sizes = rng.integers(1, 10, clusters) if size is None else np.full(clusters, size)
        values, cluster = clustered_hits(rng, sizes, p)
        if ignore_clusters:
            cluster = np.arange(len(values))
        interval = mean_interval(values, cluster, draws=1000, seed=run)
        covered += interval.low <= p <= interval.high
    return covered / runs


@pytest.mark.parametrize(
    ("clusters", "size", "p", "runs"),
    [(200, 5, P, 4000), (200, None, P, 3000), (1000, 5, P, 3000), (200, 5, 0.02, 3000)],
    ids=["equal", "unequal", "many", "rare"],
)
def test_95_percent_covers_in_95_percent(clusters: int, size: int | None, p: float, runs: int) -> None:
    assert 0.94 <= coverage(clusters, size, runs, p) <= 0.96


def test_taking_captions_for_separate_facts_would_not_cover() -> None:
    assert coverage(200, 5, runs=500, ignore_clusters=True) < 0.85


def test_the_mean_is_over_queries_not_over_clusters() -> None:
    values, cluster = np.array([1.0, 1, 1, 0]), np.array([7, 7, 7, 3])
    assert mean_interval(values, cluster).value == 0.75


def test_seeds_of_chance_decide_nothing_and_repeat_themselves() -> None:
    values, cluster = clustered_hits(np.random.default_rng(0), np.full(100, 5))
    assert mean_interval(values, cluster, seed=3) == mean_interval(values, cluster, seed=3)
    again = mean_interval(values, cluster, seed=4)
    assert again != mean_interval(values, cluster, seed=3)
    np.testing.assert_allclose(again, mean_interval(values, cluster, seed=3), atol=0.005)
    ranks = 1 / np.maximum(values, 0.1)
    assert median_interval(ranks, cluster, seed=3) == median_interval(ranks, cluster, seed=3)


def test_counting_kinds_of_clusters_is_the_same_as_picking_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    values, cluster = clustered_hits(rng, rng.integers(1, 4, 300))
    counted = mean_interval(values, cluster, draws=20_000)
    monkeypatch.setattr("harness.score.statistics._FEW_KINDS", 0)
    np.testing.assert_allclose(counted, mean_interval(values, cluster, draws=20_000), atol=0.002)


def test_seeds_that_differ_widen_the_interval_from_three_on() -> None:
    rng = np.random.default_rng(2)
    cluster = np.repeat(np.arange(200), 5)
    lucky = np.array([0.3, 0.4, 0.5])[:, None]
    values = (rng.random((3, 1000)) < lucky).astype(np.float64)

    def width(rows: np.ndarray) -> float:
        interval = mean_interval(rows, cluster)
        assert interval.value == pytest.approx(rows.mean())
        return interval.high - interval.low

    assert width(values[:2]) < 0.08  # two seeds say nothing of a third
    assert width(values) > 0.2
    assert width(values) > 2 * width(values.mean(axis=0))
    ranks = np.where(values > 0, 1.0, 5.0 + np.arange(3)[:, None])
    three, pooled = median_interval(ranks, cluster), median_interval(ranks[:2], cluster)
    assert three.high - three.low > pooled.high - pooled.low


def test_three_seeds_cover_when_seeds_matter() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for run in range(600):
        luck = 0.05 * rng.standard_normal((3, 1))
        cluster = np.repeat(np.arange(200), 5)
        easy = rng.uniform(0.2, 0.6, 200)
        values = (rng.random((3, 1000)) < easy[cluster] + luck).astype(np.float64)
        interval = mean_interval(values, cluster, draws=1000, seed=run)
        covered += interval.low <= P <= interval.high
    assert 0.92 <= covered / 600 <= 0.97


@pytest.mark.parametrize("hit", [0.0, 1.0])
def test_unanimous_clusters_are_not_certainty(hit: float) -> None:
    cluster = np.repeat(np.arange(50), 5)
    interval = mean_interval(np.full(250, hit), cluster)
    exact = stats.binomtest(int(50 * hit), 50).proportion_ci(0.95)
    np.testing.assert_allclose(interval, [hit, exact.low, exact.high])


def test_a_retriever_beside_itself() -> None:
    hits, cluster = clustered_hits(np.random.default_rng(0), np.full(100, 5))
    same = paired_difference(hits, hits, cluster)
    assert same.value == 0
    assert same.p == 1
    assert -0.04 < same.low < 0 < same.high < 0.04


def test_one_cluster_tells_nothing_of_the_spread() -> None:
    one = np.zeros(4, np.int64)
    for interval in (mean_interval(np.array([0, 1, 1, 1]), one), median_interval(np.array([1, 2, 2, 9]), one)):
        assert np.isfinite(interval.value)
        assert np.isnan([interval.low, interval.high]).all()
    assert paired_difference(np.ones((3, 4)), np.zeros((3, 4)), one).p == 1


def test_the_interval_stays_within_what_is_possible() -> None:
    rare = np.zeros(300)
    rare[0] = 1
    interval = mean_interval(rare, np.arange(300))
    assert 0 <= interval.low < 1 / 300 < interval.high < 0.03


@pytest.mark.parametrize("queries", [400, 401])
def test_median_of_ranks_with_and_without_misses(queries: int) -> None:
    rng = np.random.default_rng(5)
    ranks = np.ceil(rng.exponential(20, queries))
    cluster = np.arange(queries) // 5
    interval = median_interval(ranks, cluster)
    assert interval.value == np.median(ranks)
    assert interval.low < interval.value < interval.high
    # The same by the plainest means: resample clusters, take numpy's median.
    members = [np.flatnonzero(cluster == c) for c in range(cluster[-1] + 1)]
    picks = rng.integers(0, len(members), (2000, len(members)))
    plain = [np.median(ranks[np.concatenate([members[c] for c in pick])]) for pick in picks]
    np.testing.assert_allclose(interval[1:], np.quantile(plain, [0.025, 0.975]), atol=1)

    half_missed = ranks.copy()
    half_missed[rng.permutation(queries)[: int(0.48 * queries)]] = np.inf
    assert median_interval(half_missed, cluster).high == np.inf
    assert np.isfinite(median_interval(half_missed, cluster).low)


def test_the_median_of_an_even_number_is_the_middle_of_two() -> None:
    # Two clusters, drawn twice: 1 and 1, 1 and 3, 3 and 3 in a quarter, a half, a quarter of the draws.
    assert median_interval(np.array([1, 3]), np.arange(2), level=0.4) == (2, 2, 2)


def test_the_median_covers() -> None:
    rng = np.random.default_rng(6)
    cluster, covered = np.repeat(np.arange(150), 3), 0
    for run in range(800):
        ranks = np.exp(rng.standard_normal(150)[cluster] + rng.standard_normal(450))  # true median 1
        interval = median_interval(ranks, cluster, draws=500, seed=run)
        covered += interval.low <= 1 <= interval.high
    assert 0.93 <= covered / 800 <= 0.97


def two_retrievers(
    rng: np.random.Generator, clusters: int, size: int | None, hits: tuple[float, float], alike: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits of two on the same queries; `alike`: the share of what makes a query easy that they have in common."""
    cluster = np.repeat(np.arange(clusters), rng.integers(1, 10, clusters) if size is None else size)

    def ease() -> np.ndarray:
        return (rng.standard_normal(clusters)[cluster] + rng.standard_normal(len(cluster))) / np.sqrt(2)

    common = np.sqrt(alike) * ease()
    a, b = ((common + np.sqrt(1 - alike) * ease() < stats.norm.ppf(hit)).astype(np.float64) for hit in hits)
    return a, b, cluster


ALIKE = {  # clusters, size, hits of either, how alike they are, and the least and most false alarms at 5 %
    "many": (200, 5, 0.4, 0.5, (0.04, 0.06)),
    "unequal": (200, None, 0.4, 0.5, (0.04, 0.06)),
    "rare": (200, 5, 0.02, 0.5, (0.035, 0.06)),
    "rare and alike": (200, 1, 0.02, 0.9, (0.0, 0.06)),  # a handful of queries decides
    "few": (10, 5, 0.4, 0.5, (0.025, 0.06)),
    "few and unequal": (10, None, 0.4, 0.5, (0.02, 0.06)),
    "six": (6, 1, 0.4, 0.5, (0.0, 0.06)),
}


@pytest.mark.parametrize("case", ALIKE)
def test_p_keeps_its_level_when_nothing_is_there(case: str) -> None:
    clusters, size, hit, alike, (least, most) = ALIKE[case]
    rng = np.random.default_rng(7)
    ps = np.array([paired_difference(*two_retrievers(rng, clusters, size, (hit, hit), alike)).p for _ in range(3000)])
    assert least <= np.mean(ps < 0.05) <= most
    assert np.mean(ps < 0.01) <= 0.014
    if case in ("many", "unequal"):  # elsewhere p takes few values
        assert np.abs(np.quantile(ps, [0.1, 0.25, 0.5, 0.75, 0.9]) - [0.1, 0.25, 0.5, 0.75, 0.9]).max() < 0.03


@pytest.mark.parametrize("case", [(200, 5, (0.1, 0.02), 0.5), (30, 5, (0.5, 0.3), 0.5), (10, None, (0.7, 0.2), 0.5)])
def test_95_percent_of_differences_are_covered(case: tuple[int, int | None, tuple[float, float], float]) -> None:
    rng, (high, low) = np.random.default_rng(13), case[2]
    found = [paired_difference(*two_retrievers(rng, *case)) for _ in range(3000)]
    assert 0.935 <= np.mean([each.low <= high - low <= each.high for each in found]) <= 0.965


@pytest.mark.parametrize("luck", [0.0, 0.1])
def test_seeds_alone_make_no_difference(luck: float) -> None:
    """Neither is better but for the luck of three trainings."""
    rng, cluster, ps = np.random.default_rng(14), np.repeat(np.arange(100), 5), []
    easy = rng.uniform(0.2, 0.6, 100)[cluster]
    for _ in range(1500):
        a, b = ((rng.random((3, 500)) < easy + luck * rng.standard_normal((3, 1))).astype(float) for _ in range(2))
        ps.append(paired_difference(a, b, cluster).p)
    assert np.mean(np.array(ps) < 0.05) <= 0.08


def test_p_of_single_queries_is_mcnemars() -> None:
    a, b = np.zeros(300), np.zeros(300)
    a[:11], b[11:15] = 1, 1
    expected = stats.chi2.sf((11 - 4) ** 2 / (11 + 4), 1)
    assert paired_difference(a, b, np.arange(300)).p == pytest.approx(expected, rel=1e-9)


def test_five_to_nothing_is_no_certainty() -> None:
    """What a bootstrap of five clusters can't see: that as many may well have gone the other way."""
    a = np.zeros(300)
    a[:4] = 1
    difference = paired_difference(a, np.zeros(300), np.arange(300))
    assert difference.p == pytest.approx(2 * stats.norm.sf(2))
    assert 0 < difference.low < 0.001
    a[3] = 0
    difference = paired_difference(a, np.zeros(300), np.arange(300))
    assert difference.low < 0 and 0.05 < difference.p < 0.125


DIFFERENCES = st.lists(
    st.tuples(st.integers(0, 6), st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1, 1))),
    min_size=1,
    max_size=60,
)


@given(DIFFERENCES, st.integers(1, 4), st.sampled_from([0.5, 0.95, 0.99]), st.integers(0, 2**32 - 1))
@example([(each % 7, 1.0) for each in range(60)], 1, 0.95, 0)  # all agree
@example([(0, 1.0)] * 50 + [(1, 0.5), (2, 1.0)], 1, 0.95, 0)  # one cluster is nearly all there is
@example([(0, 0.0), (1, 0.0)], 3, 0.95, 0)
@settings(max_examples=400, deadline=None)
def test_p_is_below_the_level_exactly_where_the_interval_leaves_out_nothing(
    rows: list[tuple[int, float]], seeds: int, level: float, seed: int
) -> None:
    cluster, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    kept = np.random.default_rng(seed).random((seeds, len(values))) < 0.7
    found = paired_difference(kept * values, np.zeros((seeds, len(values))), cluster, level=level)
    assert 0 <= found.p <= 1
    if len(set(cluster)) == 1:
        assert found.p == 1 and np.isnan([found.low, found.high]).all()
        return
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert (found.p < 1 - level) == (not found.low <= 0 <= found.high) or found.p == pytest.approx(1 - level, 1e-9)
    mirrored = paired_difference(np.zeros((seeds, len(values))), kept * values, cluster, level=level)
    np.testing.assert_allclose([-mirrored.value, -mirrored.high, -mirrored.low, mirrored.p], found, atol=1e-12)


def test_many_pairs_can_all_be_certain() -> None:
    """A difference of sixteen points over a thousand items survives Holm's correction over eighty pairs."""
    rng = np.random.default_rng(15)
    a, b, cluster = two_retrievers(rng, 1000, 5, (0.6, 0.44), 0.5)
    difference = paired_difference(a, b, cluster)
    assert difference.low > 0.1
    assert holm([difference.p] + [0.5] * 79)[0] < 1e-6
    agreed = paired_difference(np.ones(40), np.zeros(40), np.arange(40))
    assert agreed.p == pytest.approx(2 * 0.5**40) and agreed.low > 0.7


def test_a_real_difference_is_seen_and_its_sign_is_right() -> None:
    rng = np.random.default_rng(8)
    a, cluster = clustered_hits(rng, np.full(300, 5))
    b = a * (rng.random(len(a)) < 0.8)
    difference = paired_difference(a, b, cluster)
    assert difference.value == pytest.approx((a - b).mean())
    assert difference.low > 0
    assert difference.p < 0.001
    mirrored = paired_difference(b, a, cluster)
    assert mirrored.high < 0
    three = paired_difference(np.stack([a, a, b]), np.stack([b, b, a]), cluster)  # two seeds for, one against
    assert three.low < 0 < three.high
    assert three.p > 0.2


def kept_hits(
    rng: np.random.Generator, clusters: int, size: int, share: float, how: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """b finds half of the queries, a a share of those: single ones are lost, or all of an item, or some are gained."""
    cluster = np.repeat(np.arange(clusters), size)
    b = rng.random(len(cluster)) < 0.5
    if how == "items":
        return b & (rng.random(clusters) < share)[cluster], b, cluster
    lost = 1 - share if how == "single" else 2 * (1 - share)
    gained = ~b & (rng.random(len(cluster)) < lost - (1 - share))
    return (b & (rng.random(len(cluster)) >= lost)) | gained, b, cluster


@pytest.mark.parametrize("share", [0.995, 0.98, 0.9])
@pytest.mark.parametrize(
    ("clusters", "size", "how"),
    [
        *((queries, 1, how) for queries in (60, 250, 500) for how in ("single", "gained")),
        *((queries // 5, 5, how) for queries in (60, 250, 500) for how in ("single", "items")),
    ],
)
def test_95_percent_of_shares_are_covered(clusters: int, size: int, how: str, share: float) -> None:
    rng, covered = np.random.default_rng(17), 0
    for _ in range(100):
        found = ratio_interval(*kept_hits(rng, clusters, size, share, how))
        covered += found.low <= share <= found.high
        assert found.low < found.high
    assert covered >= 89  # of 100 where 95 % hold it: below once in 250 times


def test_the_interval_of_a_share_is_no_wider_than_it_has_to_be() -> None:
    """Where it is well known the delta method is right."""
    a, b, cluster = kept_hits(np.random.default_rng(18), 10_000, 1, 0.9, "single")
    found = ratio_interval(a, b, cluster)
    error = np.sqrt(found.value * (1 - found.value) / b.sum())
    np.testing.assert_allclose(found[1:], found.value + 1.96 * error * np.array([-1, 1]), atol=0.1 * error)


@pytest.mark.parametrize("size", [1, 5])
def test_agreement_on_all_queries_is_not_certainty(size: int) -> None:
    """Of 50 items that both find, as many as Wilson's interval says may yet be lost; as many gained, seen from a."""
    ones, cluster = np.ones(50 * size), np.repeat(np.arange(50), size)
    wilson = stats.binomtest(50, 50).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(ratio_interval(ones, ones, cluster), [1, wilson.low, 1 / wilson.low])
    value, low, high = ratio_interval(np.zeros(50 * size), ones, cluster)
    assert (value, low) == (0, 0) and 0.07 < high < 0.08


def test_limits_of_a_share_are_those_of_nam_and_blackwelder() -> None:
    """Of single queries, with the likeliest numbers under each ratio found by brute force."""
    both, lost, gained = 70, 9, 3
    a, b = np.repeat([1, 0, 1, 0], [both, lost, gained, 50]), np.repeat([1, 1, 0, 0], [both, lost, gained, 50])
    value, low, high = ratio_interval(a, b, np.arange(len(a)))
    assert value == pytest.approx((both + gained) / (both + lost))
    only_b = np.linspace(0, 1, 2_000_001)[1:-1]  # of all hits; the other two follow from it and the ratio
    for ratio in (low, high):
        only_a = (ratio - 1 + only_b) / ratio
        shared = 1 - only_a - only_b
        possible = (only_a > 0) & (shared > 0)
        fits = both * np.log(shared[possible]) + gained * np.log(only_a[possible]) + lost * np.log(only_b[possible])
        best = np.flatnonzero(possible)[fits.argmax()]
        variance = (both + lost + gained) * ratio * (only_a[best] + only_b[best])
        assert abs(a.sum() - ratio * b.sum()) / np.sqrt(variance) == pytest.approx(stats.norm.ppf(0.975), rel=1e-3)


def test_a_share_leaves_out_one_where_a_difference_is_found() -> None:
    rng = np.random.default_rng(19)
    for _ in range(300):
        a, b, cluster = two_retrievers(rng, int(rng.integers(20, 80)), None, (0.5, 0.4), 0.8)
        share, difference = ratio_interval(a, b, cluster), paired_difference(a, b, cluster)
        assert (difference.p < 0.05) == (not share.low <= 1 <= share.high)
        mirrored = ratio_interval(b, a, cluster)
        np.testing.assert_allclose([share.low * mirrored.high, share.high * mirrored.low], 1)


def test_seeds_that_differ_widen_a_share_from_three_on() -> None:
    rng, cluster = np.random.default_rng(20), np.repeat(np.arange(200), 5)
    b = np.tile(rng.random(1000) < 0.5, (3, 1))
    a = b & (rng.random((3, 1000)) < np.array([[0.7], [0.8], [0.9]]))
    two, three = ratio_interval(a[::2], b[::2], cluster), ratio_interval(a, b, cluster)
    assert two.high - two.low < 0.1 < 0.3 < three.high - three.low
    nothing, all_of_it = np.zeros(1000), b[0]
    unknown = ratio_interval(np.stack([nothing, nothing, all_of_it]), b, cluster)
    assert unknown.low == pytest.approx(0, abs=1e-9) and unknown.high > 1
    wild = ratio_interval(b, np.stack([nothing, nothing, all_of_it]), cluster)
    assert wild.high == np.inf


def test_a_share_of_nothing_and_of_one_cluster() -> None:
    some = np.array([1, 0, 1, 1])
    assert np.isnan(ratio_interval(some, np.zeros(4), np.arange(4))).all()
    value, low, high = ratio_interval(np.array([1, 0, 0, 1]), some, np.zeros(4))
    assert value == pytest.approx(2 / 3) and np.isnan([low, high]).all()
    with pytest.raises(ValueError, match=r"a is \[4\], b \[3\]: compare on shared queries"):
        ratio_interval(some, some[:3], np.arange(4))


def test_holm_by_hand() -> None:
    # 4 × 0.005, 3 × 0.01, 2 × 0.03, and 0.04 that may not fall below the one before it.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.9]), [1, 1])
    assert holm([]).shape == (0,)
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm([0.1, np.nan])


def test_holm_keeps_false_alarms_below_the_level() -> None:
    ps = np.random.default_rng(9).random((2000, 10))
    assert np.mean([holm(row).min() <= 0.05 for row in ps]) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("values", "cluster", "message"),
    [
        (np.zeros(3), np.zeros(4), r"values have shape \[1, 3\], cluster \[4\]"),
        (np.zeros((2, 2, 2)), np.zeros(2), r"expected \[Q\] or \[seeds, Q\]"),
        (np.zeros(0), np.zeros(0), "no queries"),
        (np.array([0, np.nan]), np.zeros(2), "query 1 has no number"),
        (np.array([0.0, 7.0]), np.zeros(2), r"reach from 0 to 7, beyond bounds = \(0.0, 1.0\)"),
    ],
)
def test_says_what_is_wrong(values: np.ndarray, cluster: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mean_interval(values, cluster)


def test_compares_on_shared_queries_only() -> None:
    with pytest.raises(ValueError, match=r"a is \[3\], b \[4\]: compare on shared queries"):
        paired_difference(np.zeros(3), np.zeros(4), np.zeros(3))
    with pytest.raises(ValueError, match="level = 95"):
        mean_interval(np.zeros(3), np.arange(3), level=95)

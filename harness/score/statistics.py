"""How sure we may be of a number: intervals, paired differences, many comparisons. Called by the report and the gate.

Queries about one item are not separate facts (five captions of a clip stand or fall together), so what is resampled
is the item: the *cluster* of a query. One number in it and every interval is about "these models"; with three or more
seeds, seeds are resampled as well and the interval is about models trained like these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse, special  # not scipy.stats: the same functions, and half a second of imports

_BLOCK = 1 << 17  # resampled entries held at once: 1 MB, which a cache holds; four times as fast as 16 MB
_FEW_KINDS = 64  # up to here one multinomial draw is cheaper than picking the clusters one by one
_SEEDS_TO_RESAMPLE = 3  # one or two seeds say nothing of their spread


class Interval(NamedTuple):
    value: float
    low: float  # nan, as `high`, where the data can't tell: a single cluster
    high: float


class Difference(NamedTuple):
    value: float  # mean of a - b
    low: float
    high: float
    p: float  # two-sided, before `holm`


def _weights(clusters: int, draws: int, rng: np.random.Generator, width: int = 0) -> Iterator[np.ndarray]:
    """How often each cluster comes up in each draw: int64 [some, clusters], `draws` rows in all.

    So few at a time that rows of `width`, which the caller may make of them, fit the memory too.
    """
    step = max(1, _BLOCK // max(clusters, width))
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        picked = rng.integers(0, clusters, size=(rows, clusters), dtype=np.int32)
        picked += np.arange(0, rows * clusters, clusters, dtype=np.int32)[:, None]
        yield np.bincount(picked.ravel(), minlength=rows * clusters).reshape(rows, clusters)


def _resampled_sums(table: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Column sums of `table` [clusters, columns] when its rows are drawn with replacement: float64 [draws, columns].

    Equal rows are interchangeable. Hits of clusters of five make six kinds of row at most, and how often each kind is
    drawn is multinomial: the same distribution as drawing the clusters, a hundred times sooner.
    """
    kinds, counts = np.unique(table, axis=0, return_counts=True)
    if len(kinds) <= _FEW_KINDS:
        return rng.multinomial(len(table), counts / len(table), size=draws) @ kinds
    return np.concatenate([weights @ table for weights in _weights(len(table), draws, rng)])


def _cluster_table(values: np.ndarray, cluster: np.ndarray, clusters: int) -> np.ndarray:
    """All that a mean needs of its queries: each seed's sum, and how many they are: float64 [clusters, S + 1]."""
    sums = [np.bincount(cluster, row, minlength=clusters) for row in values]
    return np.stack([*sums, np.bincount(cluster, minlength=clusters)], axis=1).astype(np.float64)


class _Bootstrap(NamedTuple):
    draws: np.ndarray  # float64 [draws]: the mean, resampled
    skew: float  # the acceleration of BCa
    freedom: float  # degrees of freedom of the draws' variance


def _bootstrap_mean(table: np.ndarray, draws: int, rng: np.random.Generator) -> _Bootstrap:
    """The mean (ratio of sums: clusters may differ in size) with its clusters resampled, and its seeds if enough."""
    clusters, seeds = len(table), table.shape[1] - 1
    totals = _resampled_sums(table, draws, rng)
    means = totals[:, :-1] / totals[:, -1:]  # [draws, S]
    residuals = table[:, :-1].mean(1) - table[:, -1] * table[:, :-1].sum() / seeds / table[:, -1].sum()
    spread = float((residuals**2).sum())
    skew = float((residuals**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    if seeds < _SEEDS_TO_RESAMPLE:
        return _Bootstrap(means.mean(1), skew, clusters - 1)

    # Crossed: each draw takes its own seeds over its own clusters. Drawing S of S seeds shows (S - 1) / S of their
    # variance, too little of it when S is 3, so the drawn shares are stretched about 1 / S to show all of it.
    shares = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    shares = 1 / seeds + (shares - 1 / seeds) * np.sqrt(seeds / (seeds - 1))
    mixed = (shares * means).sum(1)
    # Welch–Satterthwaite: where seeds make most of the variance, S of them are all there is to know it by.
    of_seeds = float((table[:, :-1].sum(0) / table[:, -1].sum()).var(ddof=1)) / seeds
    of_both = float(mixed.var())
    of_items = max(of_both - of_seeds, 0.0)
    scale = of_seeds**2 / (seeds - 1) + of_items**2 / (clusters - 1)
    return _Bootstrap(mixed, skew, of_both**2 / scale if scale > 0 else clusters - 1)


def _bca_quantiles(boot: _Bootstrap, level: float) -> tuple[float, float]:
    """Quantiles of the draws, shifted for skew (BCa; for a mean its bias and acceleration agree)."""
    z = special.ndtri((1 - level) / 2) * np.array([1, -1])
    shifted = boot.skew + (boot.skew + z) / (1 - boot.skew * (boot.skew + z))
    low, high = np.quantile(boot.draws, special.ndtr(shifted))
    return float(low), float(high)


def _unanimous(value: float, clusters: int, level: float, bounds: tuple[float, float]) -> Interval:
    """Where all clusters agree: a larger share of others than `unseen` would have shown itself (Clopper–Pearson)."""
    unseen = 1 - ((1 - level) / 2) ** (1 / clusters)
    return Interval(value, value - unseen * (value - bounds[0]), value + unseen * (bounds[1] - value))


def _mean_interval(table: np.ndarray, boot: _Bootstrap, level: float, bounds: tuple[float, float]) -> Interval:
    clusters, seeds = len(table), table.shape[1] - 1
    value = float(table[:, :-1].sum() / seeds / table[:, -1].sum())
    if np.ptp(boot.draws) <= 1e-12 * max(1.0, abs(value)):
        return _unanimous(value, clusters, level, bounds)
    low, high = _bca_quantiles(boot, level)
    # The draws vary by (C - 1) / C of the variance they stand for, and their quantiles know nothing of Student's t.
    wider = float(special.stdtrit(boot.freedom, (1 + level) / 2) / special.ndtri((1 + level) / 2))
    wider *= np.sqrt(clusters / (clusters - 1))
    low, high = value - wider * (value - low), value + wider * (high - value)
    return Interval(value, float(max(bounds[0], low)), float(min(bounds[1], high)))


def _checked(values: np.ndarray, cluster: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Values float64 [S, Q], cluster of each query as 0, 1, …, and the number of clusters."""
    values, cluster = np.atleast_2d(np.asarray(values, dtype=np.float64)), np.asarray(cluster)
    if values.ndim != 2 or values.shape[1:] != cluster.shape:
        found = f"values have shape {list(values.shape)}, cluster {list(cluster.shape)}"
        raise ValueError(f"{found}: expected [Q] or [seeds, Q], and [Q], the same queries in the same order")
    if values.size == 0:
        raise ValueError("no queries: there is nothing to be uncertain of")
    if np.isnan(values).any():
        query = int(np.argmax(np.isnan(values).any(axis=0)))
        raise ValueError(
            f"query {query} has no number (nan): a query without an answer counts as a miss, 0 (rank: inf)"
        )
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: expected a share between 0 and 1, such as 0.95")
    names, cluster = np.unique(cluster, return_inverse=True)
    return values, cluster, len(names)


def _check_bounds(values: np.ndarray, bounds: tuple[float, float]) -> None:
    low, high = values.min(), values.max()
    if low < bounds[0] or high > bounds[1]:
        found = f"values reach from {low:g} to {high:g}, beyond bounds = {bounds}"
        raise ValueError(f"{found}: say within which bounds they must lie, e.g. (1, gallery) for ranks without misses")


def mean_interval(
    values: np.ndarray,  # [Q], or [seeds, Q]
    cluster: np.ndarray,  # int [Q]: queries of equal number stand or fall together
    level: float = 0.95,
    draws: int = 4000,
    seed: int = 0,
    bounds: tuple[float, float] = (0.0, 1.0),  # what a query's value can be at all
) -> Interval:
    """The mean over queries (and seeds), with its bootstrap interval, clustered by item.

    Whole clusters are resampled. The quantiles are BCa's, since a plain percentile interval lies too low where hits
    are rare; then stretched by sqrt(C / (C - 1)) and from the normal's to Student's t, since it is too narrow where
    clusters are few. One or two seeds are averaged; three or more are resampled too, crossed with the clusters, which
    errs to the wide side where seeds hardly differ.

    Where all clusters agree, a bootstrap would claim certainty. We say instead what C of them in agreement exclude
    (Clopper–Pearson: at 95 %, that more than about 3.7 / C of all clusters are otherwise). A single cluster: nan.
    """
    values, cluster, clusters = _checked(values, cluster, level)
    _check_bounds(values, bounds)
    if clusters == 1:
        return Interval(float(values.mean()), np.nan, np.nan)
    table = _cluster_table(values, cluster, clusters)
    return _mean_interval(table, _bootstrap_mean(table, draws, np.random.default_rng(seed)), level, bounds)


def median_interval(
    values: np.ndarray, cluster: np.ndarray, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    """The median over queries (and seeds, pooled) with its percentile interval, resampled like a mean.

    For ranks: inf (never found) is a value like any other, and may be the median or a limit. A single cluster: nan.
    """
    values, cluster, clusters = _checked(values, cluster, level)
    median = float(np.median(values))
    if clusters == 1:
        return Interval(median, np.nan, np.nan)
    seeds, rng = len(values), np.random.default_rng(seed)
    kinds, kind = np.unique(values, return_inverse=True)
    ones, size = np.ones(values.shape[1], np.int64), (len(kinds), clusters)
    held = [sparse.csr_array((ones, (row, cluster)), shape=size) for row in kind.reshape(values.shape)]  # [kinds, C]
    medians = []
    for weights in _weights(clusters, draws, rng, width=len(kinds)):
        shares = np.ones((len(weights), seeds), np.int64)
        if seeds >= _SEEDS_TO_RESAMPLE:
            shares = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(weights))
        counts = sum((table @ weights.T) * share for table, share in zip(held, shares.T, strict=True))
        reached = np.cumsum(counts, axis=0)  # [kinds, draws]
        lower = (2 * reached >= reached[-1]).argmax(axis=0)
        upper = (2 * reached > reached[-1]).argmax(axis=0)
        medians.append((kinds[lower] + kinds[upper]) / 2)
    tail = (1 - level) / 2
    low = np.quantile(np.concatenate(medians), tail, method="lower")  # no interpolation: it would meet inf - inf
    high = np.quantile(np.concatenate(medians), 1 - tail, method="higher")
    return Interval(median, float(low), float(high))


def paired_difference(
    a: np.ndarray,
    b: np.ndarray,
    cluster: np.ndarray,
    level: float = 0.95,
    bounds: tuple[float, float] = (-1.0, 1.0),  # what a query's difference can be at all
) -> Difference:
    """How much more a scores than b on the same queries, [Q] or [seeds, Q] each, in the same order.

    One test gives both: the interval holds the differences d that it does not reject, and p is the test of d = 0, so
    p < 1 - level exactly where 0 lies outside. The statistic is the sum over clusters of "difference minus d", divided
    by the root of the sum of its squares: what McNemar's test is, of clusters. Since the squares are taken around d
    and not around what was found, it keeps its level where clusters are few or of unequal size and where hits are
    rare; there a bootstrap's interval takes the direction of a handful of clusters for certain. It is compared with
    the normal distribution; from three seeds on, with the variance between seeds added, with Student's t, whose
    degrees of freedom say how much of the variance is between so few seeds.

    Where all clusters agree, C of them in agreement are what there is to go by, as in `mean_interval`. A single
    cluster: nan, and p = 1. One p of many: pass them all through `holm`.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"a is {list(a.shape)}, b {list(b.shape)}: compare on shared queries (and seeds) only")
    values, cluster, clusters = _checked(a - b, cluster, level)
    _check_bounds(values, bounds)
    value = float(values.mean())
    if clusters == 1:
        return Difference(value, np.nan, np.nan, 1.0)
    sizes, sums = np.bincount(cluster).astype(np.float64), np.bincount(cluster, values.mean(axis=0))
    residuals = sums - value * sizes
    of_seeds = float(values.mean(axis=1).var(ddof=1)) / len(values) if len(values) >= _SEEDS_TO_RESAMPLE else 0.0
    rounding = 1e-12 * max(1.0, abs(value))
    if (np.abs(residuals) <= rounding * sizes).all() and of_seeds <= rounding**2:
        farthest = bounds[0] if value > 0 else bounds[1]
        same = farthest / (farthest - value) if value else 1.0  # the least share of such clusters that allows d = 0
        return Difference(*_unanimous(value, clusters, level, bounds), min(1.0, 2 * same**clusters))
    # At d = value - e a cluster's sum is its residual + e * size: the variance is constant + 2 linear e + square e².
    queries = sizes.sum()
    of_items = (residuals @ residuals) / queries**2
    constant, linear, square = of_items + of_seeds, (residuals @ sizes) / queries**2, (sizes @ sizes) / queries**2
    freedom = (len(values) - 1) * (constant / of_seeds) ** 2 if of_seeds > 0 else np.inf  # inf: the normal distribution
    distance = abs(value) / np.sqrt((sums @ sums) / queries**2 + of_seeds)
    distance = min(distance, 1 / np.sqrt(square))  # that of any d far away: with few clusters nothing is farther
    p = 2 * float(special.stdtr(freedom, -distance))
    limit = float(special.stdtrit(freedom, (1 + level) / 2))
    left = 1 - limit**2 * square
    if left <= 0:
        return Difference(value, *bounds, p)
    middle, half = limit**2 * linear, limit * np.sqrt(limit**2 * linear**2 + left * constant)
    low, high = value - (middle + half) / left, value - (middle - half) / left
    return Difference(value, max(bounds[0], float(low)), min(bounds[1], float(high)), p)


class _Hits(NamedTuple):
    """What the hits of a and b tell of their ratio: means over seeds."""

    both: float  # hits that they share
    lost: float  # those of b alone
    gained: float  # those of a alone
    sums: np.ndarray  # float64 [clusters, 2]: hits of a and of b in each
    of_seeds: np.ndarray  # float64 [2, 2]: covariance of their totals between seeds; 0 where seeds are few

    def of_items(self, ratio: float) -> float:
        """The variance of the total of a - ratio * b between clusters, if `ratio` is the true one.

        It is taken around 0, as in `paired_difference`, and scaled by what the hits of either alone would be then: a
        ratio other than the one found needs some, though none may have been found.
        """
        found = self.both * (1 - ratio) ** 2 + self.gained + self.lost * ratio**2
        clustered = float(((self.sums @ [1, -ratio]) ** 2).sum())
        return clustered * self._single(ratio) / found if found > 0 else 0.0

    def _single(self, ratio: float) -> float:
        """The same if queries were independent, at the likeliest hits that have this ratio (Nam, Blackwelder 2002)."""
        hits = self.both + self.lost + self.gained
        middle = (self.both + self.lost) * (1 - ratio**2) + self.lost + self.gained
        root = float(np.sqrt(max(0.0, middle**2 - 4 * (1 - ratio**2) * hits * self.lost)))
        return max(0.0, (middle + root) / 2 - hits * (1 - ratio))

    def between_seeds(self, ratio: float) -> float:
        return max(0.0, float(np.array([1, -ratio]) @ self.of_seeds @ [1, -ratio]))

    def rejects(self, ratio: float, limit: float) -> bool:
        one, other = self.sums.sum(axis=0)
        return bool((one - ratio * other) ** 2 > limit**2 * (self.of_items(ratio) + self.between_seeds(ratio)))

    def farthest(self, limit: float, kept: float, rejected: float) -> float:
        """The last ratio that isn't rejected, found by halving; both are given as shares, a / (a + b)."""
        for _ in range(40):
            middle = (kept + rejected) / 2
            kept, rejected = (kept, middle) if self.rejects(middle / (1 - middle), limit) else (middle, rejected)
        return kept / (1 - kept) if rejected < 1 else np.inf


def ratio_interval(a: np.ndarray, b: np.ndarray, cluster: np.ndarray, level: float = 0.95) -> Interval:
    """The hits of a as a share of those of b, on the same queries, [Q] or [seeds, Q] each.

    The interval holds the ratios r at which a test like that of `paired_difference` doesn't reject that a - r * b is 0
    on average (Fieller); at r = 1 it is the same test. But its variance is the one expected at r. Where two agree on
    nearly all queries, what was found would be too small, and the interval would claim to be certain.

    No hits of b, or a single cluster: nan.
    """
    if np.shape(a) != np.shape(b):
        found = f"a is {list(np.shape(a))}, b {list(np.shape(b))}"
        raise ValueError(f"{found}: compare on shared queries (and seeds) only")
    one, numbered, clusters = _checked(a, cluster, level)
    other, _, _ = _checked(b, cluster, level)
    for values in (one, other):
        _check_bounds(values, (0.0, 1.0))
    seeds, totals = len(one), np.stack([one.sum(axis=1), other.sum(axis=1)])
    mine, its = totals.mean(axis=1).tolist()
    if clusters == 1 or not its:
        return Interval(mine / its if its else np.nan, np.nan, np.nan)
    hits = _Hits(
        both=float(np.minimum(one, other).sum()) / seeds,
        lost=float(np.maximum(other - one, 0).sum()) / seeds,
        gained=float(np.maximum(one - other, 0).sum()) / seeds,
        sums=np.stack([np.bincount(numbered, each.mean(axis=0)) for each in (one, other)], axis=1),
        of_seeds=np.cov(totals) / seeds if seeds >= _SEEDS_TO_RESAMPLE else np.zeros((2, 2)),
    )
    value, of_seeds = mine / its, hits.between_seeds(mine / its)
    freedom = (seeds - 1) * (1 + hits.of_items(value) / of_seeds) ** 2 if of_seeds > 0 else np.inf
    limit = float(special.stdtrit(freedom, (1 + level) / 2))
    low, high = (hits.farthest(limit, mine / (mine + its), end) for end in (0.0, 1.0))
    return Interval(value, low, high)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values adjusted so that the chance of any false alarm among them all stays below the level (Holm 1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values {p.tolist()}: expected a list of numbers from 0 to 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted

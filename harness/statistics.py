"""How sure we may be of a number: intervals, paired differences, many comparisons. Called by the report and the gate.

Queries about one item are not separate facts (five captions of a clip stand or fall together), so what is resampled
is the item: the *cluster* of a query. One number in it and every interval is about "these models"; with three or more
seeds, seeds are resampled as well and the interval is about models trained like these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

_BLOCK = 1 << 21  # resampled entries held at once: bounds the memory, whatever the number of draws
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


def _weights(clusters: int, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """How often each cluster comes up in each draw: int64 [some, clusters], `draws` rows in all."""
    step = max(1, _BLOCK // clusters)
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
    """All that a mean needs of its queries: the sum of each seed, and the number of queries, float64 [clusters, S+1]."""
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
    z = stats.norm.ppf((1 - level) / 2) * np.array([1, -1])
    shifted = boot.skew + (boot.skew + z) / (1 - boot.skew * (boot.skew + z))
    low, high = np.quantile(boot.draws, stats.norm.cdf(shifted))
    return float(low), float(high)


def _interval(table: np.ndarray, boot: _Bootstrap, level: float, bounds: tuple[float, float]) -> Interval:
    clusters, seeds = len(table), table.shape[1] - 1
    value = float(table[:, :-1].sum() / seeds / table[:, -1].sum())
    if clusters == 1:
        return Interval(value, np.nan, np.nan)
    if np.ptp(boot.draws) <= 1e-12 * max(1.0, abs(value)):
        unseen = 1 - ((1 - level) / 2) ** (1 / clusters)
        return Interval(value, value - unseen * (value - bounds[0]), value + unseen * (bounds[1] - value))
    low, high = _bca_quantiles(boot, level)
    # The draws vary by (C - 1) / C of the variance they stand for, and their quantiles know nothing of Student's t.
    wider = stats.t.ppf((1 + level) / 2, boot.freedom) / stats.norm.ppf((1 + level) / 2)
    wider *= np.sqrt(clusters / (clusters - 1))
    low, high = value - wider * (value - low), value + wider * (high - value)
    return Interval(value, max(bounds[0], low), min(bounds[1], high))

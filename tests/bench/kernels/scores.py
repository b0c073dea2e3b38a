"""Metrics, intervals and comparisons of rankings: `harness/score`."""

from __future__ import annotations

from typing import Any

import ir_measures
import numpy as np
from ir_measures import AP, RR, R, Success, nDCG
from scipy import stats

from harness.contract.dataset import Links
from harness.contract.retriever import Ranking
from harness.score.agreement import agreement
from harness.score.metrics import per_query
from harness.score.statistics import mean_interval, median_interval, paired_difference
from kernels import Kernel

QUERIES, DEPTH, GALLERY, KS = 5_000, 100, 5_000, (1, 5, 10)
ASKED = 2_000  # of metrics: the rival takes its time
CLUSTERS, DRAWS = 1_000, 4_000
MEASURES = {
    **{f"hit@{k}": Success @ k for k in KS},
    **{f"recall@{k}": R @ k for k in KS},
    "mrr@10": RR @ 10,
    "map@10": AP @ 10,
    "ndcg@10": nDCG @ 10,
}


def metrics() -> Kernel:
    rng = np.random.default_rng(0)
    ids = np.stack([rng.permutation(GALLERY)[:DEPTH] for _ in range(ASKED)])
    targets = np.where(rng.random(ASKED) < 0.7, ids[:, 0], rng.integers(0, GALLERY, ASKED))
    ids = rng.permuted(ids, axis=1)
    links = Links.paired(np.arange(ASKED), targets, ASKED)
    scores = [float(DEPTH - place) for place in range(DEPTH)]
    run = {str(q): dict(zip(map(str, row), scores, strict=True)) for q, row in enumerate(ids.tolist())}
    judged = ir_measures.evaluator(list(MEASURES.values()), {str(q): {str(t): 1} for q, t in enumerate(targets)})
    return Kernel(
        f"rank metrics, {ASKED:,} × {DEPTH}",
        lambda: per_query(ids, links, KS, GALLERY),
        "ir-measures",
        lambda: judged.calc_aggregate(run),
        lambda ours, theirs: all(abs(ours[k].mean() - theirs[MEASURES[k]]) < 1e-9 for k in MEASURES),
        "integers in arrays, not names in dicts of dicts; ours gives every query's value, the rival means",
    )


def _of_clusters(values: np.ndarray) -> np.ndarray:
    return values.reshape(CLUSTERS, -1).mean(axis=1)


def _bootstrap(values: np.ndarray) -> Any:
    """All clusters have five queries, so that their mean is the mean of their means."""
    each = (_of_clusters(values),)
    return stats.bootstrap(each, np.mean, n_resamples=DRAWS, method="BCa", rng=np.random.default_rng(0))


def _alike(ours: Any, theirs: Any) -> bool:
    """Ours is stretched for so many clusters, by a thousandth; the draws are others."""
    limits = np.array([theirs.confidence_interval.low, theirs.confidence_interval.high])
    return bool(np.abs(limits - [ours.low, ours.high]).max() < 0.05 * (ours.high - ours.low))


def _clustered(name: str, values: np.ndarray, why: str) -> Kernel:
    cluster = np.repeat(np.arange(CLUSTERS), len(values) // CLUSTERS)
    return Kernel(
        f"clustered bootstrap of a mean, {name}, {CLUSTERS:,} clusters of 5, {DRAWS:,} draws",
        lambda: mean_interval(values, cluster, draws=DRAWS),
        "scipy.stats.bootstrap (BCa) of the clusters' means",
        lambda: _bootstrap(values),
        _alike,
        why,
    )


def bootstrap_of_hits() -> Kernel:
    values = (np.random.default_rng(0).random(QUERIES) < 0.4).astype(np.float64)
    return _clustered("hits", values, "six kinds of cluster: how often each is drawn is one multinomial number")


def bootstrap_of_values() -> Kernel:
    values = np.random.default_rng(0).random(QUERIES) ** 3
    return _clustered("any values", values, "counts of clusters times a table, not copies of the values")


def bootstrap_of_a_median() -> Kernel:
    ranks = np.floor(np.exp(3 * np.random.default_rng(0).random(2_000)))
    cluster = np.arange(len(ranks))
    return Kernel(
        "bootstrap of a median, 2,000 ranks, 1,000 draws",
        lambda: median_interval(ranks, cluster, draws=1_000),
        "scipy.stats.bootstrap (percentile)",
        lambda: stats.bootstrap(
            (ranks,), np.median, n_resamples=1_000, method="percentile", rng=np.random.default_rng(0)
        ),
        lambda ours, theirs: abs(theirs.confidence_interval.low - ours.low) <= 1,
        "ranks repeat: their counts are summed, nothing is sorted",
    )


def paired() -> Kernel:
    rng = np.random.default_rng(0)
    a, b = ((rng.random(QUERIES) < share).astype(np.float64) for share in (0.40, 0.38))
    cluster = np.repeat(np.arange(CLUSTERS), QUERIES // CLUSTERS)
    return Kernel(
        f"paired difference, {QUERIES:,} queries, {CLUSTERS:,} clusters",
        lambda: paired_difference(a, b, cluster),
        "scipy.stats.bootstrap (BCa) of the clusters' differences",
        lambda: _bootstrap(a - b),
        _alike,
        "ours is a formula (a clustered McNemar test) in the place of a bootstrap: other work for the same answer",
    )


def rankings_agree() -> Kernel:
    rng = np.random.default_rng(0)
    ids = np.argsort(rng.random((QUERIES, 200)), axis=1)[:, :10]
    scores = -np.sort(-rng.random((QUERIES, 10)).astype(np.float32), axis=1)
    swapped = ids.copy()
    swapped[::7, [0, 1]] = swapped[::7, [1, 0]]  # another order, far from a tie
    one, other = Ranking(ids, scores), Ranking(swapped, scores)
    return Kernel(
        f"agreement of two rankings, {QUERIES:,} × 10",
        lambda: agreement(one, other),
        "a loop over queries and dicts",
        lambda: float(np.mean([_same(*each) for each in zip(*map(np.ndarray.tolist, (*one, *other)), strict=True)])),
        lambda ours, theirs: ours == theirs,
        "rows that are the same are seen at once; of the others the ids are sorted, all in one go",
    )


def _same(ids: list[int], scores: list[float], others: list[int], theirs: list[float], near: float = 1e-5) -> bool:
    if ids == others:
        return True
    near *= max(map(abs, scores))
    known, again = dict(zip(ids, scores, strict=True)), dict(zip(others, theirs, strict=True))
    return all(abs(score - again.get(id_, theirs[-1])) <= near for id_, score in known.items()) and all(
        abs(score - known.get(id_, scores[-1])) <= near for id_, score in again.items()
    )


KERNELS = (metrics, bootstrap_of_hits, bootstrap_of_values, bootstrap_of_a_median, paired, rankings_agree)

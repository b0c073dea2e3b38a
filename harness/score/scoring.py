"""From a ranking to a record's metrics, with their uncertainty; and whether a control is where it must be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.contract.dataset import Links
from harness.score import metrics, statistics
from harness.score.statistics import Interval
from harness.store.record import Metric, Record

IMPROBABLE = 1e-6  # what a control never does by chance


def score(
    ids: np.ndarray, links: Links, cluster: np.ndarray, ks: Sequence[int], gallery: int, added: int = 0
) -> dict[str, Metric]:
    """Every metric with its 95 % interval, clustered by item. `ids` may be [Q, depth], or [S, Q, depth] for seeds.

    Where the gallery's last candidates were `added` later, "old hit@k" and "added hit@k" are those of the queries whose
    positives were all there from the start, or all came later.
    """
    runs = ids[None] if ids.ndim == 2 else ids
    each = [metrics.per_query(run, links, ks, gallery) for run in runs]
    found, ages = {}, _ages(links, gallery - added) if added else {}
    for name in each[0]:
        values = np.stack([run[name] for run in each])  # (S, Q)
        values = values[0] if len(values) == 1 else values
        if name != "rank":
            found[name] = _metric(statistics.mean_interval(values, cluster))
            if name.startswith("hit@"):
                for age, chosen in ages.items():
                    found[f"{age} {name}"] = _metric(statistics.mean_interval(values[..., chosen], cluster[chosen]))
            continue
        found["median_rank"] = _metric(statistics.median_interval(values, cluster))
        if np.isfinite(values).all():
            found["mean_rank"] = _metric(statistics.mean_interval(values, cluster, bounds=(1, gallery)))
    return found


def _ages(links: Links, indexed: int) -> dict[str, np.ndarray]:
    """The queries of each age, where there are any; those with positives of both have none."""
    later = np.add.reduceat(links.targets >= indexed, links.starts[:-1], dtype=np.int64) if len(links) else links.counts
    ages = {"old": np.flatnonzero(later == 0), "added": np.flatnonzero(later == links.counts)}
    return {age: chosen for age, chosen in ages.items() if len(chosen)}


def _metric(interval: Interval) -> Metric:
    value, low, high = (float(number) if math.isfinite(number) else None for number in interval)
    return {"value": value, "low": low, "high": high}


def _odds(links: Links, k: int, gallery: int) -> np.ndarray:
    """That a random order has at least one positive among its first k, float64 [Q]: 1 less the odds of k misses."""
    sizes, which = np.unique(links.counts, return_inverse=True)
    draws = np.arange(min(k, gallery))[:, None]
    return (1.0 - np.clip((gallery - sizes - draws) / (gallery - draws), 0.0, 1.0).prod(axis=0))[which]


def chance(links: Links, ks: Sequence[int], gallery: int) -> dict[str, float]:
    """hit@k of a random order."""
    return {f"hit@{k}": float(_odds(links, k, gallery).mean()) for k in ks}


def blind(record: Record) -> bool:
    """Whether it is a control that sees no content. All others compete, those too that learn as controls for others."""
    return record["config"]["retriever"].get("kind") in ("null", "random", "constant", "oracle")


def broken_control(record: Record, links: Links) -> str | None:
    """What is wrong with the referee if a control is not where it must be; `links` of the queries that it was asked."""
    kind, data = record["config"]["retriever"].get("kind"), record["data"]
    if record["status"] != "ok" or data is None or kind not in ("random", "constant", "oracle") or not len(links):
        return None
    fates = _fates(links) if kind == "constant" else np.arange(len(links))
    for name in data["chance"]:
        odds = _odds(links, int(name.removeprefix("hit@")), data["items"])
        low, high = (1.0, 1.0) if kind == "oracle" else _range(odds, fates)
        value = record["metrics"][name]["value"]
        if value is None or not low - 1e-9 <= value <= high + 1e-9:
            return (
                f"{record['task']}: control {record['retriever']} has {name} {value}, expected {low:.4f} to "
                f"{high:.4f}: no number of this contest can be trusted"
            )
    return None


def _fates(links: Links) -> np.ndarray:
    """int64 [Q], equal for queries that share a positive, directly or through others.

    One order for all of them finds all of them or none: captions of one item, or a label as often as items bear it.
    """
    from scipy.sparse import coo_array, csgraph

    right, place = np.unique(links.targets, return_inverse=True)
    size = len(links) + len(right)
    joined = coo_array((np.ones(len(place), np.int8), (links.queries, len(links) + place)), shape=(size, size))
    return csgraph.connected_components(joined, directed=False)[1][: len(links)]


def _range(odds: np.ndarray, fates: np.ndarray) -> tuple[float, float]:
    """Between which shares of hits chance stays but for one time in a million (Chernoff's bound), however few facts.

    Queries of one fate count as one that weighs as much as they do together. Fates are independent, or (candidates of
    one order exclude each other) do less together than independent ones would; so the bound is none of a normal
    distribution's, which a few heavy items would break.
    """
    fate = np.unique(fates, return_inverse=True)[1]
    weight = np.bincount(fate)
    each = np.stack([weight / len(odds), np.bincount(fate, odds) / weight])
    (weight, odds), counts = np.unique(each, axis=1, return_counts=True)
    slope = np.geomspace(1e-3, 1e5, 200)[:, None] / weight.max()
    found = []
    for sign in (-1, 1):
        with np.errstate(divide="ignore"):  # odds of 1: no log of the rest
            grown = np.logaddexp(np.log1p(-odds), np.log(odds) + sign * slope * weight) @ counts
        found.append((grown - math.log(IMPROBABLE)) / (sign * slope[:, 0]))
    return max(0.0, float(found[0].max())), min(1.0, float(found[1].min()))

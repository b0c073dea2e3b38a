"""From a ranking to a record's metrics, with their uncertainty; and whether a control is where it must be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness import metrics, statistics
from harness.dataset import Links
from harness.record import Metric, Record
from harness.statistics import Interval

IMPROBABLE = 5.0  # standard errors


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


def chance(links: Links, ks: Sequence[int], gallery: int) -> dict[str, float]:
    """hit@k of a random order: one minus the odds that none of the first k draws is among the positives."""
    positives, found = links.counts.astype(float), {}
    for k in ks:
        draws = np.arange(min(k, gallery))[:, None]
        misses = np.clip((gallery - positives - draws) / (gallery - draws), 0.0, 1.0).prod(axis=0)
        found[f"hit@{k}"] = float(1.0 - misses.mean())
    return found


def broken_control(record: Record) -> str | None:
    """What is wrong with the referee if a control is not where it must be."""
    kind, data = record["config"]["retriever"].get("kind"), record["data"]
    if record["status"] != "ok" or data is None or kind not in ("random", "constant", "oracle"):
        return None
    facts = data["sampled_queries"] or data["queries"]
    if kind == "constant":  # it finds the same few items for all queries: its independent facts are items
        facts = min(facts, data["items"])
    for name, odds in data["chance"].items():
        value = record["metrics"][name]["value"]
        expected = 1.0 if kind == "oracle" else odds
        allowed = IMPROBABLE * math.sqrt(expected * (1 - expected) / facts) + (1e-9 if kind == "oracle" else 1 / facts)
        if value is None or abs(value - expected) > allowed:
            return (
                f"{record['task']}: control {record['retriever']} has {name} {value}, expected {expected:.4f} "
                f"± {allowed:.4f}: no number of this contest can be trusted"
            )
    return None

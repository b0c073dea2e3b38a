"""Finds the cheapest search setting of an index that reaches a recall against exact search: `tune: {recall: 0.99}`.

It takes validation queries and the index of the very gallery that will be searched; who matches whom it never sees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from harness.machine.progress import say

PROBES = 5000  # queries at most: they estimate a recall of 0.99 to about 0.0005
DEPTH = 10  # recall of the first so many, unless `k` says otherwise
MOST = 1 << 16  # no search is allowed to look deeper
TIE = 1e-6  # as near as one of the first, a candidate counts as one: equal captions have equal vectors
AT_ONCE = 256  # queries whose candidates' vectors are gathered
SETTINGS = {"IVF": "nprobe", "HNSW": "efSearch"}  # the setting that is tuned: of the first that the string names


class Aim(NamedTuple):
    """The recall that is wanted, and the setting that is tuned for it."""

    recall: float
    k: int
    setting: str


def aim(factory: str, search: Mapping[str, int], tune: Mapping[str, float]) -> Aim | None:
    """What `tune` asks for; a ValueError where it makes no sense."""
    if not tune:
        return None
    surplus = sorted(tune.keys() - {"recall", "k"})
    if surplus or "recall" not in tune:
        raise ValueError(
            f"tune: found {dict(tune)}; expected {{recall: 0.99}}, and k beside it if it isn't to be {DEPTH}"
        )
    recall, k = float(tune["recall"]), tune.get("k", DEPTH)
    if not 0 < recall <= 1 or k < 1 or k != int(k):
        raise ValueError(f"tune: found {dict(tune)}; expected a recall above 0, at most 1, and a whole k from 1 up")
    setting = next((name for word, name in SETTINGS.items() if re.search(word + r"[\d*]", factory)), None)
    if setting is None:
        raise ValueError(f"tune: index {factory!r} has no setting to tune; expected one with IVF or HNSW, or no `tune`")
    if setting in search:
        raise ValueError(f"tune and search both settle {setting}; keep one of them")
    return Aim(recall, int(k), setting)


def tune(index: Any, probes: np.ndarray, exact: np.ndarray, vectors: np.ndarray, wanted: Aim) -> dict[str, Any]:
    """Set the index to the least setting that reaches the recall; returns the setting and its recall.

    `exact` int64 [probes, k] are the answers of exact search among `vectors`. Recall hardly ever falls as a setting
    rises, so the least one is found by bisection.
    """
    least = _similarities(probes, vectors, exact[:, -1:]) - TIE
    most = min(MOST, index.cells() if wanted.setting == "nprobe" else max(1, index.size()))
    known: dict[int, float] = {}

    def recall(value: int) -> float:
        if value not in known:
            index.change(wanted.setting, value)
            found = index.search(probes, wanted.k).ids
            known[value] = float((_similarities(probes, vectors, found)[:, : exact.shape[1]] >= least).mean())
        return known[value]

    low, high = 0, 1  # recall isn't reached at `low`; at `high` it is, or isn't known yet
    while recall(high) < wanted.recall:
        if high == most:
            raise ValueError(
                f"tune: index {index.factory!r} can't reach recall {wanted.recall} at {wanted.k}: with {wanted.setting}"
                f" {most}, its most, it is {known[most]:.4f}: what it stores is rounded; ask for less, or store more "
                "(`,RFlat` after it and `search: {k_factor_rf: 4}` compare the best 4 k exactly)"
            )
        low, high = high, min(2 * high, most)
    while high - low > 1:
        between = (low + high) // 2
        low, high = (low, between) if recall(between) >= wanted.recall else (between, high)
    index.change(wanted.setting, high)
    say(f"    tuned: {wanted.setting} {high} has recall {known[high]:.4f} at {wanted.k} on {len(probes):,} queries")
    return {
        "setting": wanted.setting,
        "value": high,
        "recall": round(known[high], 6),
        "wanted": wanted.recall,
        "k": wanted.k,
        "queries": len(probes),
    }


def _similarities(probes: np.ndarray, vectors: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """float32 [Q, k], of each query with its candidates; -inf where there is none."""
    out = np.empty(ids.shape, np.float32)
    for start in range(0, len(ids), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        out[part] = np.einsum("qd,qkd->qk", probes[part], vectors[ids[part]])
    out[ids < 0] = -np.inf
    return out


def overlap(found: np.ndarray, exact: np.ndarray) -> float:
    """recall@k of an index: the share of exact search's answers that it finds; ids int64 [Q, k] each."""
    if not exact.size:
        return 1.0
    stride = int(max(found.max(), exact.max())) + 2
    rows = np.arange(len(exact))[:, None] * stride
    return float(np.isin(exact + rows, found + rows).mean())


def some(count: int, seed: int) -> np.ndarray:
    """Positions of the queries to tune with: at most `PROBES` of `count`, drawn by seed."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:PROBES])

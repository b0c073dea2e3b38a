"""Rank metrics on integer arrays. Called by the runner, the report and the gate.

Every query counts. One that got no answer, or fewer answers than k, is a miss; it never drops out of a mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from harness.contract.dataset import Links
from harness.contract.retriever import PAD

CUTOFF = 10  # of mrr, map and ndcg: the first page of answers
_BLOCK = 1 << 20  # entries of a ranking looked at in one go: it fits the cache, and keeps temporary arrays small


class BrokenRanking(ValueError):
    """A ranking that breaks the contract of `Ranking`; `problems` has one sentence for each way it does."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("broken ranking: " + "; ".join(problems))
        self.problems = tuple(problems)


class _Hits(NamedTuple):
    """Where positives stand in the rankings, query by query and best first."""

    queries: np.ndarray  # int64 [hits]
    ranks: np.ndarray  # int64 [hits], from 1


def _blocks(ids: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of rows that cover a ranking."""
    step = max(1, _BLOCK // max(1, ids.shape[1]))
    for start in range(0, len(ids), step):
        yield start, min(start + step, len(ids))


def _single_hits(ids: np.ndarray, targets: np.ndarray) -> _Hits:
    """One positive a query: compare its id with the row."""
    depth = ids.shape[1]
    found = [start * depth + np.flatnonzero(ids[start:end] == targets[start:end, None]) for start, end in _blocks(ids)]
    queries, columns = np.divmod(np.concatenate(found), depth)
    return _Hits(queries, columns + 1)


def _many_hits(ids: np.ndarray, links: Links, gallery: int) -> _Hits:
    """Any number of positives: each (query, id) is looked up among the sorted keys of the links."""
    stride = gallery + 1  # ids start at -1, so that PAD has a key of its own, equal to no other
    keys = np.sort(links.queries * stride + links.targets + 1)  # by query, so `starts` still holds
    if np.any(twice := keys[1:] == keys[:-1]):
        query, target = divmod(int(keys[:-1][twice][0]), stride)
        raise ValueError(f"query {query} is linked to candidate {target - 1} twice: give each link once")
    depth = ids.shape[1]
    found = []
    for start, end in _blocks(ids):
        wanted = keys[links.starts[start] : links.starts[end]]
        asked = (ids[start:end] + (np.arange(start, end) * stride + 1)[:, None]).ravel()
        at = np.minimum(np.searchsorted(wanted, asked), len(wanted) - 1)
        found.append(start * depth + np.flatnonzero(wanted[at] == asked))
    queries, columns = np.divmod(np.concatenate(found), depth)
    return _Hits(queries, columns + 1)


def _scored(hits: _Hits, positives: np.ndarray, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Every metric from the hits alone: from here on nothing costs more for a deeper ranking."""
    count = len(positives)

    def total(kept: np.ndarray, gains: np.ndarray | None = None) -> np.ndarray:  # float64 [Q]
        return np.bincount(hits.queries[kept], gains, minlength=count).astype(np.float64)

    opens = np.diff(hits.queries, prepend=-1) > 0  # the first hit of its query
    rank = np.full(count, np.inf)
    rank[hits.queries[opens]] = hits.ranks[opens]

    metrics = {}
    for k in ks:
        metrics[f"hit@{k}"] = (rank <= k).astype(np.float64)
        metrics[f"recall@{k}"] = total(hits.ranks <= k) / positives

    shown = hits.ranks <= CUTOFF
    ranks = hits.ranks[shown]
    before = np.flatnonzero(opens)[np.cumsum(opens) - 1]  # for each hit, where the hits of its query begin
    nth = (np.arange(len(opens)) - before + 1)[shown]  # 1 for a query's first hit, 2 for its second, …
    ideal = np.cumsum(1 / np.log2(np.arange(2, CUTOFF + 2)))
    metrics[f"mrr@{CUTOFF}"] = np.where(rank <= CUTOFF, 1 / rank, 0.0)
    metrics[f"map@{CUTOFF}"] = total(shown, nth / ranks) / positives
    metrics[f"ndcg@{CUTOFF}"] = total(shown, 1 / np.log2(ranks + 1)) / ideal[np.minimum(positives, CUTOFF) - 1]
    metrics["rank"] = rank
    return metrics


def _check_range(name: str, values: np.ndarray, lowest: int, gallery: int) -> None:
    if values.size and (values.min() < lowest or values.max() >= gallery):
        found = f"{name} reach from {values.min()} to {values.max()}"
        raise ValueError(f"{found}: expected {lowest} to {gallery - 1}, positions in a gallery of {gallery}")


def per_query(ids: np.ndarray, links: Links, ks: Sequence[int], gallery: int) -> dict[str, np.ndarray]:
    """Each metric of each query, float64 [Q], of rankings int64 [Q, depth] that `check_ranking` has passed.

    hit@k     1 if at least one positive is in the top k. Cross-modal papers call it "R@K"; ir-measures, Success@k.
    recall@k  The share of a query's positives in the top k. The same as hit@k only with one positive a query.
    mrr@10    1 / rank of the first positive, 0 if it isn't in the top 10. Often written "MRR", as if it went deeper.
    map@10    Average precision: precision at the rank of each positive in the top 10, over *all* positives of the
              query, as trec_eval does. Some papers divide by min(positives, 10), which is kinder, and say "mAP@10" too.
    ndcg@10   Binary gains, 1 / log2(1 + rank), over those of the best possible top 10.
    rank      Of the first positive, from 1; inf where the ranking has none.
    """
    if ids.ndim != 2 or ids.dtype != np.int64:
        raise ValueError(f"ids are {ids.dtype} {list(ids.shape)}: expected int64 [queries, depth]")
    if len(ids) != len(links):
        raise ValueError(f"{len(ids)} rows of ids for {len(links)} queries: every query needs its row, PAD where empty")
    if wrong := [k for k in ks if k < 1]:
        raise ValueError(f"k = {wrong[0]}: a cutoff is 1 or more")
    positives = links.counts
    if np.any(positives == 0):
        query = int(np.argmin(positives))
        raise ValueError(f"query {query} has no positive: nothing it gets could be right, so leave it out of the task")
    _check_range("links", links.targets, 0, gallery)
    if ids.size == 0:
        none = np.empty(0, np.int64)
        return _scored(_Hits(none, none), positives, ks)
    _check_range("ids", ids, PAD, gallery)
    single = len(links.targets) == len(links)
    hits = _single_hits(ids, links.targets) if single else _many_hits(ids, links, gallery)
    return _scored(hits, positives, ks)


def _offences(ids: np.ndarray, scores: np.ndarray, gallery: int) -> dict[str, np.ndarray]:
    """For each rule, which rows break it: bool [rows]."""
    ordered = np.sort(ids, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != PAD)
    resumed = (ids[:, :-1] == PAD) & (ids[:, 1:] != PAD)
    outside = f"an id outside {PAD} (nothing) to {gallery - 1}"
    return {
        outside: ((ids < PAD) | (ids >= gallery)).any(axis=1),
        "an id twice": twice.any(axis=1),
        f"an id after {PAD}, which may stand only at the end": resumed.any(axis=1),
        "a score that isn't a number": np.isnan(scores).any(axis=1),
        "a score above the one before it: expected best first": (scores[:, 1:] > scores[:, :-1]).any(axis=1),
    }


def check_ranking(ids: np.ndarray, scores: np.ndarray, gallery: int, shape: tuple[int, int] | None = None) -> None:
    """Raise `BrokenRanking` unless this is a valid `Ranking` over `gallery` candidates (and of `shape` [Q, k])."""
    problems = []
    for name, array, dtype in (("ids", ids, np.int64), ("scores", scores, np.float32)):
        if not isinstance(array, np.ndarray) or array.dtype != dtype:
            found = getattr(array, "dtype", type(array).__name__)
            problems.append(f"{name} are {found}: expected a numpy array of {np.dtype(dtype)}")
        elif array.ndim != 2 or (shape is not None and array.shape != shape):
            problems.append(f"{name} have shape {list(array.shape)}: expected {list(shape or ('queries', 'k'))}")
    if not problems and ids.shape != scores.shape:
        problems.append(f"ids have shape {list(ids.shape)}, scores {list(scores.shape)}: expected the same")
    if problems:
        raise BrokenRanking(problems)

    first: dict[str, int] = {}
    broken: dict[str, int] = {}
    for start, end in _blocks(ids):
        for rule, rows in _offences(ids[start:end], scores[start:end], gallery).items():
            if rows.any():
                first.setdefault(rule, start + int(np.argmax(rows)))
                broken[rule] = broken.get(rule, 0) + int(rows.sum())
    if first:
        raise BrokenRanking([f"query {query} has {rule} ({broken[rule]} such)" for rule, query in first.items()])

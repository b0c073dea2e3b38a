"""Paired differences between retrievers, on the queries that both answered, with their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from harness.contract.dataset import Links
from harness.machine.escaping import row
from harness.report.tables import Row, by_task
from harness.score import metrics, statistics
from harness.score.scoring import blind
from harness.store.run_folder import RunFolder, cell_name

METRIC, DEEPER = "hit@1", "hit@10"
HEAD = (
    "task",
    "retriever",
    "against",
    "hit@1, points",
    "p",
    "p after Holm",
    "hit@10, points",
    "seeds",
    "shared queries",
)
FOOT = (
    "First minus second, on shared queries: positive means that the first found more. Brackets: 95 % interval, the "
    "differences that a test does not reject; p is the same test of no difference: McNemar's, clustered by item (from "
    "three seeds on Student's t, over seeds and items). So p is below 0.05 exactly where the interval leaves out 0. "
    "Holm's correction of p is over all pairs of a task; p is of hit@1."
)


@dataclass(frozen=True)
class Pair:
    task: str
    first: str
    second: str
    difference: statistics.Difference  # in hit@1
    deeper: statistics.Difference | None  # in hit@10, where both rankings are so deep
    seeds: int
    queries: int


@dataclass(frozen=True)
class Hits:
    """One retriever's queries at one task, int64 [Q], and whether its first answers to each were right."""

    asked: np.ndarray
    right: dict[int, np.ndarray]  # seed → float [Q]: the first
    among: dict[int, np.ndarray]  # one of the first ten; empty where rankings aren't so deep


class Right(NamedTuple):
    """What is right at a task."""

    links: Links
    cluster: np.ndarray  # int64 [Q]: the item of each query
    gallery: int

    @staticmethod
    def read(folder: RunFolder, task: str) -> Right:
        page = folder.read_task(task)
        return Right(Links.listed(page["positives"]), np.array(page["cluster"]), len(page["candidates"]["names"]))


def pairs(folder: RunFolder, rows: Sequence[Row]) -> list[Pair]:
    """Every two contestants of a task, except those that ignore the content, such as `random`."""
    found = []
    for task, group in by_task(rows).items():
        fine = [each for each in group if each.status == "ok" and not each.folds and not blind(each.records[0])]
        if len(fine) < 2:
            continue
        right = Right.read(folder, task)
        found_by = {each.retriever: hits(folder, each, right) for each in fine}
        for first, second in combinations(found_by, 2):
            pair = _pair(task, first, second, found_by[first], found_by[second], right.cluster)
            if pair is not None:
                found.append(pair)
    return found


def pairs_with(folder: RunFolder, one: Row, others: Sequence[Row]) -> list[Pair]:
    """Each of the others against this one, all of one task."""
    right = Right.read(folder, one.task)
    mine = hits(folder, one, right)
    found = (
        _pair(one.task, row.retriever, one.retriever, hits(folder, row, right), mine, right.cluster) for row in others
    )
    return [pair for pair in found if pair is not None]


def hits(folder: RunFolder, row: Row, task: Right) -> Hits:
    asked: np.ndarray | None = None
    found: dict[str, dict[int, np.ndarray]] = {METRIC: {}, DEEPER: {}}
    for record in row.records:
        ids, _, queries = folder.read_ranking(cell_name(row.task, row.retriever, record["seed"]))
        values = metrics.per_query(ids, task.links.take(queries), [1, 10], task.gallery)
        if asked is None:
            asked = queries
        common, mine, theirs = np.intersect1d(queries, asked, return_indices=True)
        for name in (METRIC, DEEPER) if ids.shape[1] >= 10 else (METRIC,):
            before = {seed: each[theirs] for seed, each in found[name].items()}
            found[name] = before | {record["seed"]: values[name][mine]}
        asked = common
    assert asked is not None
    return Hits(asked, found[METRIC], found[DEEPER])


def _pair(task: str, first: str, second: str, a: Hits, b: Hits, cluster: np.ndarray) -> Pair | None:
    seeds = sorted(a.right.keys() & b.right.keys())
    common, mine, theirs = np.intersect1d(a.asked, b.asked, return_indices=True)
    if not seeds or not len(common):
        return None
    first_right = _difference(
        [a.right[seed][mine] for seed in seeds], [b.right[seed][theirs] for seed in seeds], cluster[common]
    )
    deeper = None
    if all(seed in each.among for seed in seeds for each in (a, b)):
        deeper = _difference(
            [a.among[seed][mine] for seed in seeds], [b.among[seed][theirs] for seed in seeds], cluster[common]
        )
    return Pair(task, first, second, first_right, deeper, len(seeds), len(common))


def _difference(one: Sequence[np.ndarray], other: Sequence[np.ndarray], cluster: np.ndarray) -> statistics.Difference:
    """Of one seed's queries, or of several seeds'."""
    mine, theirs = (np.stack(each).astype(float) if len(each) > 1 else each[0].astype(float) for each in (one, other))
    return statistics.paired_difference(mine, theirs, cluster)


def cells(found: Sequence[Pair]) -> list[list[str]]:
    """A row of words a pair."""
    tasks = dict.fromkeys(pair.task for pair in found)
    groups = [[pair for pair in found if pair.task == task] for task in tasks]
    return [
        [*_words(pair), odds(holm), points(pair.deeper), str(pair.seeds), f"{pair.queries:,}"]
        for group in groups
        for pair, holm in zip(group, statistics.holm([each.difference.p for each in group]), strict=True)
    ]


def _words(pair: Pair) -> list[str]:
    return [pair.task, pair.first, pair.second, points(pair.difference), odds(pair.difference.p)]


def odds(p: float) -> str:
    return f"{p:.2g}" if p >= 1e-6 else "< 1e-6"


def points(difference: statistics.Difference | None) -> str:
    if difference is None:
        return "–"
    value, low, high = (100 * number for number in difference[:3])
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def markdown(found: Sequence[Pair]) -> str:
    lines = ["# Paired differences", "", row(list(HEAD)), "|" + "---|" * len(HEAD)]
    lines += [row(each) for each in cells(found)]
    return "\n".join([*lines, "", FOOT, ""])

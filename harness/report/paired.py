"""Paired differences between retrievers, on the queries that both answered, with their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from harness.contract.dataset import Links
from harness.machine.escaping import row
from harness.results.rows import Row, by_task
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
    right: dict[str, dict[int, np.ndarray]]  # metric → seed → float [Q]; hit@10 only where rankings are so deep

    def beside(self, other: Hits) -> Both | None:
        """On the queries that both answered, with the seeds that both have; None where there are none."""
        seeds = sorted(self.right[METRIC].keys() & other.right[METRIC].keys())
        common, mine, theirs = np.intersect1d(self.asked, other.asked, return_indices=True)
        if not seeds or not len(common):
            return None
        return Both(common, tuple(seeds), self._taken(seeds, mine), other._taken(seeds, theirs))

    def _taken(self, seeds: Sequence[int], rows: np.ndarray) -> dict[str, np.ndarray]:
        return {
            name: np.stack([found[seed][rows] for seed in seeds]).astype(float)
            for name, found in self.right.items()
            if all(seed in found for seed in seeds)
        }


@dataclass(frozen=True)
class Both:
    """Two retrievers on the same queries, int64 [Q]; what each found, by metric, float64 [seeds, Q]."""

    asked: np.ndarray
    seeds: tuple[int, ...]
    first: dict[str, np.ndarray]
    second: dict[str, np.ndarray]

    @property
    def deep(self) -> bool:
        return DEEPER in self.first and DEEPER in self.second

    def pair(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        return self.first[metric], self.second[metric]

    def difference(self, metric: str, cluster: np.ndarray) -> statistics.Difference:
        """Of one seed's queries, or of several seeds'; `cluster`: the item of each query of the task."""
        one, other = (each if len(each) > 1 else each[0] for each in self.pair(metric))
        return statistics.paired_difference(one, other, cluster[self.asked])


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
    """Each of the others against this one, all of one task; where they are means of folds, on all folds' queries."""
    right = {part.task: Right.read(folder, part.task) for part in _parts(one)}
    ends = np.cumsum([len(each.cluster) for each in right.values()]).tolist()
    starts = dict(zip(right, [0, *ends], strict=False))
    cluster = np.concatenate([each.cluster + starts[task] for task, each in right.items()])

    def found(row: Row) -> Hits:
        return _together([(starts[part.task], hits(folder, part, right[part.task])) for part in _parts(row)])

    mine = found(one)
    pairs = (_pair(one.task, row.retriever, one.retriever, found(row), mine, cluster) for row in others)
    return [pair for pair in pairs if pair is not None]


def _parts(row: Row) -> list[Row]:
    """The folds that it is the mean of, or itself."""
    if not row.folds:
        return [row]
    tasks = dict.fromkeys(each["task"] for each in row.records)
    split = ((task, tuple(each for each in row.records if each["task"] == task)) for task in tasks)
    return [replace(row, task=task, records=records, folds=0) for task, records in split]


def _together(parts: Sequence[tuple[int, Hits]]) -> Hits:
    """One after another, each from its own number of queries on; seeds that all have."""
    asked = np.concatenate([start + each.asked for start, each in parts])
    known = [each.right for _, each in parts]
    names = [name for name in known[0] if all(name in each for each in known)]
    seeds = {name: set.intersection(*(set(each[name]) for each in known)) for name in names}
    joined = {
        name: {seed: np.concatenate([each[name][seed] for each in known]) for seed in sorted(seeds[name])}
        for name in names
    }
    return Hits(asked, joined)


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
    return Hits(asked, {name: each for name, each in found.items() if each})


def _pair(task: str, first: str, second: str, a: Hits, b: Hits, cluster: np.ndarray) -> Pair | None:
    both = a.beside(b)
    if both is None:
        return None
    deeper = both.difference(DEEPER, cluster) if both.deep else None
    return Pair(task, first, second, both.difference(METRIC, cluster), deeper, len(both.seeds), len(both.asked))


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

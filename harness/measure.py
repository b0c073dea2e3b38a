"""Times prepared contestants side by side: interleaved rounds, disjoint slices, seeded random order.

The rankings that come out of the timed rounds are the rankings that are scored. Called by the runner.
"""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness import compute, interruption, metrics
from harness.dataset import Contents
from harness.progress import track
from harness.retriever import Ranking, Retriever

STABLE = 0.10  # two warm-up rates this close are stable
NEAR = 1e-5  # scores this close, relative to the largest, may swap places


@dataclass
class Contestant:
    """A prepared retriever and what was measured of it so far."""

    name: str
    retriever: Retriever
    limit: int | None = None  # of the queries it is asked so many, the same ones at any speed; None: all of them
    failure: str | None = None  # the traceback; it is out of the contest from then on
    per_round: int = 0  # queries a round: fewer than the slice holds when it is slow
    rounds: list[Round] = field(default_factory=list)
    speed: dict[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def queries(self) -> np.ndarray:
        """int64 [n]: the queries that were asked, ascending."""
        return np.sort(np.concatenate([part.queries for part in self.rounds]))

    @property
    def ranking(self) -> Ranking:
        """The answers to `queries`, from all rounds together."""
        order = np.argsort(np.concatenate([part.queries for part in self.rounds]))
        parts = [part.ranking for part in self.rounds]
        trace = {name: np.concatenate([part.trace[name] for part in parts])[order] for name in parts[0].trace}
        ids, scores = (np.concatenate([part[field] for part in parts])[order] for field in (0, 1))
        return Ranking(ids, scores, trace)


@dataclass(frozen=True)
class Round:
    queries: np.ndarray
    ranking: Ranking
    seconds: float
    stages: Mapping[str, float]


@dataclass(frozen=True)
class Questions:
    """What a contest asks: the queries that count, and others to warm up with."""

    queries: Contents
    warm: Contents
    warm_name: str
    gallery: int
    k: int
    seed: int


def contest(
    contestants: list[Contestant], questions: Questions, scenarios: Mapping[str, Mapping[str, Any]]
) -> list[Contestant]:
    """Run every scenario over all contestants; one that fails is out, the others go on."""
    with _collected():
        for number, (name, settings) in enumerate(scenarios.items()):
            rng = np.random.default_rng([questions.seed, number])
            with compute.limited_threads(_threads(name)):
                SCENARIOS[name](contestants, questions, rng, **settings)
    return contestants


def _threads(scenario: str) -> int:
    settled = compute.current()
    return settled.single_threads if scenario == "single" else settled.usual_threads


@contextmanager
def _collected() -> Iterator[None]:
    """What is in memory before the first round isn't searched for garbage at every round: that would take longer."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _guarded(contestant: Contestant) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        interruption.let_pass(error)
        contestant.failure = traceback.format_exc()


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collector inside a timed span: the same for everyone."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _alive(contestants: list[Contestant], rng: np.random.Generator) -> list[Contestant]:
    alive = [contestant for contestant in contestants if contestant.failure is None]
    return [alive[place] for place in rng.permutation(len(alive))]


def in_memory(contents: Contents) -> Contents:
    """Fetched beforehand, so that no contestant is timed for decoding a file."""
    things = dict(zip(contents.positions.tolist(), contents, strict=True))
    return Contents(contents.modality, things.__getitem__, contents.positions, contents.source, contents.name)


def _ask(contestant: Contestant, positions: np.ndarray, queries: Contents, questions: Questions) -> Round:
    compute.take_stages()
    with _no_collection():
        begun = time.perf_counter()
        ranking = contestant.retriever.search(queries, questions.k)
        seconds = time.perf_counter() - begun
    metrics.check_ranking(ranking.ids, ranking.scores, questions.gallery, (len(queries), questions.k))
    return Round(positions, ranking, seconds, compute.take_stages())


def offline(
    contestants: list[Contestant], questions: Questions, rng: np.random.Generator, rounds: int, cap_s: float
) -> None:
    """All queries in disjoint slices. A contestant too slow for `cap_s` gets the first few of every slice.

    So does one with a limit, its queries being those of any larger limit and more.
    """
    count = len(questions.queries)
    slices = np.array_split(rng.permutation(count), max(1, min(rounds, count)))
    for contestant in _alive(contestants, rng):
        with _guarded(contestant):
            contestant.retriever.reset_counts()
            most = _share(contestant, 0, slices)
            rate = _warm_up(contestant, questions, most, cap_s / 4)
            contestant.per_round = int(np.clip(rate * cap_s / len(slices), 1, most))
            contestant.retriever.reset_counts()
    for number, part in enumerate(track(slices, "offline rounds")):
        queries = in_memory(questions.queries[part])
        for contestant in _alive(contestants, rng):
            mine = slice(0, min(contestant.per_round, _share(contestant, number, slices)))
            if mine.stop or not len(part):
                with _guarded(contestant):
                    contestant.rounds.append(_ask(contestant, part[mine], queries[mine], questions))
    again = in_memory(questions.queries[slices[0]])
    for contestant in _alive(contestants, rng):
        with _guarded(contestant):
            contestant.counts = dict(contestant.retriever.counts())
            first = contestant.rounds[0]
            repeated = _ask(contestant, first.queries, again[: len(first.queries)], questions)
            contestant.speed["offline"] = _summary(contestant, repeated, questions.warm_name)


def _share(contestant: Contestant, number: int, slices: list[np.ndarray]) -> int:
    """How many queries of this slice are its own: those of a smaller limit are always among those of a larger."""
    if contestant.limit is None:
        return len(slices[number])
    each, left = divmod(contestant.limit, len(slices))
    return min(len(slices[number]), each + (number < left))


def _warm_up(contestant: Contestant, questions: Questions, size: int, budget: float) -> float:
    """Search until the rate is stable; the last rate, in queries a second."""
    begun, asked, rates = time.perf_counter(), min(8, size), [0.0]
    while True:
        batch = in_memory(questions.warm[np.resize(np.arange(len(questions.warm)), asked)])
        part = _ask(contestant, np.arange(asked), batch, questions)
        rates.append(asked / max(part.seconds, 1e-9))
        spent = time.perf_counter() - begun
        stable = asked == size and abs(rates[-1] - rates[-2]) <= STABLE * rates[-1]
        if stable or len(rates) > 8 or spent + min(size, asked * 8) / rates[-1] > budget:
            return rates[-1]
        asked = min(size, asked * 8)


def _summary(contestant: Contestant, repeated: Round, warm_name: str) -> dict[str, Any]:
    rates = np.array([len(part.queries) / part.seconds for part in contestant.rounds])
    asked = sum(len(part.queries) for part in contestant.rounds)
    names = sorted({name for part in contestant.rounds for name in part.stages})
    q25, median, q75 = np.percentile(rates, [25, 50, 75])
    first = contestant.rounds[0]
    return {
        "qps": {"median": float(median), "q25": float(q25), "q75": float(q75), "rounds": rates.tolist()},
        "stages": {name: sum(part.stages.get(name, 0.0) for part in contestant.rounds) / asked for name in names},
        "round_queries": contestant.per_round,
        "repeat": {
            "agree": agreement(first.ranking, repeated.ranking),
            "speedup": len(repeated.queries) / repeated.seconds / float(median),
        },
        "warm_up": warm_name,
    }


def agreement(one: Ranking, other: Ranking) -> float:
    """The share of queries with the same answers; those with scores within `NEAR` of each other may swap places."""
    if not one.ids.size:
        return 1.0
    same = one.ids == other.ids
    scale = np.abs(np.where(one.ids >= 0, one.scores, 0.0)).max(axis=1, keepdims=True)
    again = _found_again(one, other, NEAR * scale) & _found_again(other, one, NEAR * scale)
    return float(np.mean((same | again).all(axis=1)))


def _found_again(one: Ranking, other: Ranking, near: np.ndarray) -> np.ndarray:  # bool [Q, k]
    """Which answers of `one` are among those of `other` with nearly the same score, or as good as its last one."""
    stride = max(int(one.ids.max()), int(other.ids.max())) + 2
    rows = np.arange(len(one.ids))[:, None] * stride + 1  # so that each id has a key of its own in each row
    keys, wanted = (rows + other.ids).ravel(), rows + one.ids
    order = np.argsort(keys)
    place = order[np.minimum(np.searchsorted(keys[order], wanted), keys.size - 1)]
    last = np.where(other.ids >= 0, other.scores, np.inf).min(axis=1, keepdims=True)
    score = np.where(keys[place] == wanted, other.scores.ravel()[place], last)
    answered = (one.ids >= 0) & (other.ids >= 0)
    return answered & (np.abs(np.where(answered, one.scores, 0) - np.where(answered, score, 0)) <= near)


def single(
    contestants: list[Contestant], questions: Questions, rng: np.random.Generator, queries: int, cap_s: float
) -> None:
    """One query at a time, the next when the last is answered; contestants take turns in blocks."""
    chosen = rng.permutation(len(questions.queries))[:queries]
    asked = in_memory(questions.queries[chosen])
    ones = [asked[place : place + 1] for place in range(len(asked))]
    warm = in_memory(questions.warm[:10])
    taken: dict[str, list[float]] = {}
    for contestant in _alive(contestants, rng):
        taken[contestant.name] = []
        with _guarded(contestant):
            for place in range(len(warm)):
                contestant.retriever.search(warm[place : place + 1], questions.k)
    for block in track(np.array_split(np.arange(len(ones)), max(1, len(ones) // 20)), "single queries"):
        for contestant in _alive(contestants, rng):
            enough = len(taken[contestant.name]) >= (contestant.limit or queries)
            if not enough and sum(taken[contestant.name]) < cap_s * 1e3:
                with _guarded(contestant):
                    taken[contestant.name] += _latencies(contestant, [ones[i] for i in block], questions)
    for contestant in _alive(contestants, rng):
        with _guarded(contestant):
            p50, p95, p99 = np.percentile(taken[contestant.name], [50, 95, 99])
            contestant.speed["single"] = {
                "p50_ms": float(p50),
                "p95_ms": float(p95),
                "p99_ms": float(p99),
                "queries": len(taken[contestant.name]),
            }


def _latencies(contestant: Contestant, ones: list[Contents], questions: Questions) -> list[float]:
    """Milliseconds each."""
    search, clock, k, taken = contestant.retriever.search, time.perf_counter_ns, questions.k, []
    with _no_collection():
        for one in ones:
            begun = clock()
            search(one, k)
            taken.append((clock() - begun) / 1e6)
    compute.take_stages()
    return taken


# By its name in a suite. `batch` and `server` join here.
SCENARIOS: dict[str, Callable[..., None]] = {"offline": offline, "single": single}

"""Times prepared contestants side by side: interleaved rounds, disjoint slices, seeded random order.

The rankings that come out of the timed rounds are the rankings that are scored. Called by the runner.
"""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.contest import guard
from harness.contest.answers import agreement, checked, copied, joined
from harness.contract.dataset import Contents, unchangeable
from harness.contract.problems import BadInput
from harness.contract.retriever import Ranking, Retriever
from harness.machine import compute, interruption
from harness.machine.progress import track

ORDER = 20_240  # seeds the order in which queries are asked
BLOCK = 20  # single queries that a contestant is asked before the next one is
STABLE = 0.10  # two warm-up rates this close are stable


@dataclass
class Contestant:
    """A prepared retriever and what was measured of it so far."""

    name: str
    retriever: Retriever
    limit: int | None = None  # of the queries it is asked so many, the same ones at any speed; None: all of them
    failure: str | None = None  # the traceback; from then on it is out
    per_round: int = 0  # queries a round: fewer than the slice holds when it is slow
    rounds: list[Round] = field(default_factory=list)
    untimed: list[Round] = field(default_factory=list)  # what is left of its `limit` when `cap_s` is over
    speed: dict[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    singles: list[Single] = field(default_factory=list)
    changed: dict[str, None] = field(default_factory=dict)  # shared settings that it changed
    details: Mapping[str, Any] = field(default_factory=dict)  # of its instruments

    @property
    def queries(self) -> np.ndarray:
        """int64 [n]: the queries that were asked, ascending."""
        return np.sort(np.concatenate([part.queries for part in (*self.rounds, *self.untimed)]))

    @property
    def ranking(self) -> Ranking:
        """The answers to `queries`, in ascending order."""
        parts = [*self.rounds, *self.untimed]
        return joined([part.ranking for part in parts], np.concatenate([part.queries for part in parts]))


@dataclass(frozen=True)
class Round:
    queries: np.ndarray
    ranking: Ranking
    seconds: float
    stages: Mapping[str, float]


@dataclass(frozen=True)
class Single:
    query: int
    ranking: Ranking
    ms: float


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
    for contestant in contestants:
        with _guarded(contestant):
            _compare(contestant)
    return contestants


def _threads(scenario: str) -> int:
    settled = compute.current()
    return settled.single_threads if scenario == "single" else settled.usual_threads


def _compare(contestant: Contestant) -> None:
    """Compare its answers one by one with those to the same queries in batches."""
    ones = {one.query: one.ranking for one in contestant.singles}
    shared, _, rows = np.intersect1d(list(ones), contestant.queries if contestant.rounds else [], return_indices=True)
    if contestant.failure is None and len(shared):
        alone, together = joined([ones[query] for query in shared.tolist()], shared), contestant.ranking
        at_once = Ranking(together.ids[rows], together.scores[rows])
        contestant.speed["single"] |= {"agree": agreement(at_once, alone), "compared": len(shared)}


def _order(questions: Questions) -> np.ndarray:
    """The order in which queries are asked. A contestant with fewer queries gets the first of it, in every scenario and
    with every seed, so that any two share as many as possible."""
    return np.random.default_rng(ORDER).permutation(len(questions.queries))


@contextmanager
def _collected() -> Iterator[None]:
    """Objects from before the first round are exempt from garbage collection, which is slow and runs at every round."""
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
    except BadInput as reason:
        contestant.failure = str(reason)
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
    """Fetched beforehand, so that decoding a file is not timed; read-only, since all contestants share them."""
    things = dict(zip(contents.positions.tolist(), map(unchangeable, contents), strict=True))
    return replace(contents, fetch=things.__getitem__, stream=None)


def _ask(contestant: Contestant, positions: np.ndarray, queries: Contents, questions: Questions) -> Round:
    compute.take_stages()
    with guard.kept(contestant.name, contestant.changed), _no_collection():
        begun = time.perf_counter()
        answer = contestant.retriever.search(queries, questions.k)
        seconds = time.perf_counter() - begun
    ranking = checked(copied(answer), questions.gallery, (len(queries), questions.k))
    return Round(positions, ranking, seconds, compute.take_stages())


def offline(
    contestants: list[Contestant], questions: Questions, rng: np.random.Generator, rounds: int, cap_s: float
) -> None:
    """All queries in disjoint slices. A contestant too slow for `cap_s`, or with a limit, gets the first few of each.

    Both are asked the first queries of `_order`. One with a limit gets all queries up to it, untimed after `cap_s`, so
    that its answers don't depend on the machine's speed.
    """
    order = _order(questions)
    rounds = max(1, min(rounds, len(order)))
    slices = [order[number::rounds] for number in range(rounds)]
    for contestant in _alive(contestants, rng):
        with _guarded(contestant):
            _reset(contestant)
            most = _share(contestant, 0, slices)
            rate = _warm_up(contestant, questions, most, cap_s / 4)
            contestant.per_round = int(np.clip(rate * cap_s / len(slices), 1, most))
            _reset(contestant)
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
            with guard.kept(contestant.name, contestant.changed):
                contestant.counts = dict(contestant.retriever.counts())
            first = contestant.rounds[0]
            repeated = _ask(contestant, first.queries, again[: len(first.queries)], questions)
            contestant.speed["offline"] = _summary(contestant, repeated, questions.warm_name)
    for contestant in _alive(contestants, rng):
        with _guarded(contestant):
            _ask_the_rest(contestant, order[: contestant.limit or 0], questions)


def _ask_the_rest(contestant: Contestant, wanted: np.ndarray, questions: Questions) -> None:
    left = np.setdiff1d(wanted, contestant.queries)
    size = max(1, contestant.per_round)
    for start in track(range(0, len(left), size), "untimed queries"):
        part = left[start : start + size]
        contestant.untimed.append(_ask(contestant, part, in_memory(questions.queries[part]), questions))


def _reset(contestant: Contestant) -> None:
    with guard.kept(contestant.name, contestant.changed):
        contestant.retriever.reset_counts()


def _share(contestant: Contestant, number: int, slices: list[np.ndarray]) -> int:
    """The number of queries of this slice within its limit: those of a smaller limit are always among a larger's."""
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


def single(
    contestants: list[Contestant], questions: Questions, rng: np.random.Generator, queries: int, cap_s: float
) -> None:
    """One query at a time, the next when the last is answered; contestants take turns in blocks."""
    chosen = _order(questions)[:queries]
    asked = in_memory(questions.queries[chosen])
    ones = [(query, asked[place : place + 1]) for place, query in enumerate(chosen.tolist())]
    warm = in_memory(questions.warm[:10])
    warm_ones = [(place, warm[place : place + 1]) for place in range(len(warm))]
    for contestant in _alive(contestants, rng):
        with _guarded(contestant):
            _one_by_one(contestant, warm_ones, questions)
    for start in track(range(0, len(ones), BLOCK), "single queries"):
        for contestant in _alive(contestants, rng):
            enough = len(contestant.singles) >= (contestant.limit or queries)
            if not enough and sum(one.ms for one in contestant.singles) < cap_s * 1e3:
                with _guarded(contestant):
                    contestant.singles += _one_by_one(contestant, ones[start : start + BLOCK], questions)
    for contestant in _alive(contestants, rng):
        with _guarded(contestant):
            p50, p95, p99 = np.percentile([one.ms for one in contestant.singles], [50, 95, 99])
            contestant.speed["single"] = {
                "p50_ms": float(p50),
                "p95_ms": float(p95),
                "p99_ms": float(p99),
                "queries": len(contestant.singles),
            }


def _one_by_one(contestant: Contestant, ones: list[tuple[int, Contents]], questions: Questions) -> list[Single]:
    """Its answer to each, and the time."""
    search, clock, k, found = contestant.retriever.search, time.perf_counter_ns, questions.k, []
    with guard.kept(contestant.name, contestant.changed), _no_collection():
        for query, one in ones:
            begun = clock()
            answer = search(one, k)
            taken = (clock() - begun) / 1e6
            found.append(Single(query, copied(answer), taken))
    compute.take_stages()
    for single in found:
        checked(single.ranking, questions.gallery, (1, k))
    return found


# By its name in a suite. `batch` and `server` join here.
SCENARIOS: dict[str, Callable[..., None]] = {"offline": offline, "single": single}

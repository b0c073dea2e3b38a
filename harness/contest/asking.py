"""Asks contestants, with the clock running: what every scenario is made of.

What is timed is the call of `search` alone: queries are in memory, the garbage collector rests, and what a contestant
changes of what all share is put back.
"""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.contest import guard
from harness.contest.answers import checked, copied, joined
from harness.contract.dataset import Contents, unchangeable
from harness.contract.problems import BadInput
from harness.contract.retriever import Ranking, Retriever
from harness.machine import compute, interruption

SPAN_S = 0.05  # of a span whose CPU time tells how many cores it had
ORDER = 20_240  # seeds the order in which queries are asked


@dataclass
class Contestant:
    """A prepared retriever and what was measured of it so far."""

    name: str
    retriever: Retriever
    limit: int | None = None  # of the queries it is asked so many, the same ones at any speed; None: all of them
    failure: str | None = None  # the traceback; from then on it is out
    per_round: int = 0  # queries a round: fewer than the slice holds when it is slow
    rounds: list[Round] = field(default_factory=list)
    first: dict[str, float] = field(default_factory=dict)  # its very first answer, and the next
    untimed: list[Round] = field(default_factory=list)  # what is left of its `limit` when `cap_s` is over
    speed: dict[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    singles: list[Single] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)  # of single queries in other processes
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
    cpu: float  # seconds, of all threads of this process


@dataclass(frozen=True)
class Single:
    query: int
    ranking: Ranking
    ms: float
    cpu_ms: float


@dataclass(frozen=True)
class Questions:
    """What a contest asks: the queries that count, others to warm up with, and some that are asked last of all."""

    queries: Contents
    warm: Contents
    warm_name: str
    gallery: int
    k: int
    seed: int
    unseen: Contents | None = None  # new to everyone when `single` and `server` end: each takes its part

    def new(self, scenario: str) -> Contents | None:
        """Its part of the unseen, in memory."""
        if self.unseen is None:
            return None
        half = len(self.unseen) // 2
        return in_memory(self.unseen[:half] if scenario == "single" else self.unseen[half:])


def shuffled(questions: Questions) -> np.ndarray:
    """The order in which queries are asked. A contestant with fewer queries gets the first of it, in every scenario and
    with every seed, so that any two share as many as possible."""
    return drawn_order(len(questions.queries))


def drawn_order(count: int) -> np.ndarray:
    """The same in every run, for so many queries."""
    return np.random.default_rng(ORDER).permutation(count)


@contextmanager
def collected() -> Iterator[None]:
    """Objects from before the first round are exempt from garbage collection, which is slow and runs at every round."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def guarded(contestant: Contestant) -> Iterator[None]:
    try:
        yield
    except BadInput as reason:
        contestant.failure = str(reason)
    except BaseException as error:
        interruption.let_pass(error)
        contestant.failure = traceback.format_exc()


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage collector inside a timed span: the same for everyone."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive(contestants: list[Contestant], rng: np.random.Generator) -> list[Contestant]:
    """Those that have not failed, in random order."""
    left = [contestant for contestant in contestants if contestant.failure is None]
    return [left[place] for place in rng.permutation(len(left))]


def in_memory(contents: Contents) -> Contents:
    """Fetched beforehand, so that decoding a file is not timed; read-only, since all contestants share them."""
    things = dict(zip(contents.positions.tolist(), map(unchangeable, contents), strict=True))
    return replace(contents, fetch=things.__getitem__, stream=None)


def qps(rounds: Sequence[Round]) -> dict[str, Any]:
    """Queries a second: each round's, and their quartiles."""
    return quartiles([len(each.queries) / each.seconds for each in rounds])


def quartiles(rates: list[float]) -> dict[str, Any]:
    q25, median, q75 = np.percentile(rates, [25, 50, 75])
    return {"median": float(median), "q25": float(q25), "q75": float(q75), "rounds": rates}


def cores(cpu: Sequence[float], seconds: Sequence[float]) -> dict[str, float]:
    """CPU seconds a second of timed spans, beside the threads that are settled for the scenario.

    Of all of them, or of one that is long enough: a busy machine may have lent a second core to that one alone.
    """
    spans = [(sum(cpu), sum(seconds)), *((used, taken) for used, taken in zip(cpu, seconds, strict=True))]
    most = max(used / max(taken, 1e-9) for used, taken in spans if taken >= SPAN_S or taken == spans[0][1])
    return {"cores": most, "threads": compute.threads_in_use(), "seconds": spans[0][1]}


def ask(contestant: Contestant, positions: np.ndarray, queries: Contents, questions: Questions) -> Round:
    compute.take_stages()
    with guard.kept(contestant.name, contestant.changed), no_collection():
        before, begun = time.process_time(), time.perf_counter()
        answer = contestant.retriever.search(queries, questions.k)
        seconds = time.perf_counter() - begun
        cpu = time.process_time() - before
    ranking = checked(copied(answer), questions.gallery, (len(queries), questions.k))
    return Round(positions, ranking, seconds, compute.take_stages(), cpu)

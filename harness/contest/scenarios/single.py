"""`single`: one query at a time, the next when the last is answered: latency."""

from __future__ import annotations

import time

import numpy as np

from harness.contest import guard
from harness.contest.answers import checked, copied
from harness.contest.asking import Contestant, Questions, Single, alive, guarded, in_memory, no_collection, shuffled
from harness.contract.dataset import Contents
from harness.machine import compute
from harness.machine.progress import track

BLOCK = 20  # queries that a contestant is asked before the next one is


def single(
    contestants: list[Contestant], questions: Questions, rng: np.random.Generator, queries: int, cap_s: float
) -> None:
    """Contestants take turns in blocks."""
    chosen = shuffled(questions)[:queries]
    asked = in_memory(questions.queries[chosen])
    ones = [(query, asked[place : place + 1]) for place, query in enumerate(chosen.tolist())]
    warm = in_memory(questions.warm[:10])
    warm_ones = [(place, warm[place : place + 1]) for place in range(len(warm))]
    for contestant in alive(contestants, rng):
        with guarded(contestant):
            _one_by_one(contestant, warm_ones, questions)
    for start in track(range(0, len(ones), BLOCK), "single queries"):
        for contestant in alive(contestants, rng):
            enough = len(contestant.singles) >= (contestant.limit or queries)
            if not enough and sum(one.ms for one in contestant.singles) < cap_s * 1e3:
                with guarded(contestant):
                    contestant.singles += _one_by_one(contestant, ones[start : start + BLOCK], questions)
    for contestant in alive(contestants, rng):
        with guarded(contestant):
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
    with guard.kept(contestant.name, contestant.changed), no_collection():
        for query, one in ones:
            begun = clock()
            answer = search(one, k)
            taken = (clock() - begun) / 1e6
            found.append(Single(query, copied(answer), taken))
    compute.take_stages()
    for single in found:
        checked(single.ranking, questions.gallery, (1, k))
    return found

"""`single`: one query at a time, the next when the last is answered: latency."""

from __future__ import annotations

import numpy as np

from harness.contest.asking import Contestant, Questions, alive, cores, guarded, in_memory, shuffled
from harness.contest.repetition import one_by_one, repeated
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
            one_by_one(contestant, warm_ones, questions)
    for start in track(range(0, len(ones), BLOCK), "single queries"):
        for contestant in alive(contestants, rng):
            enough = len(contestant.singles) >= (contestant.limit or queries)
            if not enough and sum(one.ms for one in contestant.singles) < cap_s * 1e3:
                with guarded(contestant):
                    contestant.singles += one_by_one(contestant, ones[start : start + BLOCK], questions)
    new = questions.new("single")
    for contestant in alive(contestants, rng):
        with guarded(contestant):
            found = contestant.singles
            contestant.speed["single"] = {
                **latencies([one.ms for one in found]),
                "queries": len(found),
                "cpu": cores([one.cpu_ms / 1e3 for one in found], [one.ms / 1e3 for one in found]),
                "repeat": repeated(contestant, ones, new, questions, cap_s, first=found),
            }


def latencies(ms: list[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(ms, [50, 95, 99])
    return {"p50_ms": float(p50), "p95_ms": float(p95), "p99_ms": float(p99)}

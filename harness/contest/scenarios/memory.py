"""`memory`: how much a contestant needs to search, and how long its first answer takes. In a process of its own."""

from __future__ import annotations

import numpy as np

from harness.contest.asking import Contestant, Questions, alive, ask, guarded, in_memory, shuffled
from harness.machine import memory as machine


def memory(contestants: list[Contestant], questions: Questions, rng: np.random.Generator, queries: int) -> None:
    """One by one, then all at once. What the queries themselves take is not counted."""
    for contestant in alive(contestants, rng):
        with guarded(contestant):
            order = shuffled(questions)[: min(queries, contestant.limit or queries)]
            asked = in_memory(questions.queries[order])
            start = machine.in_use()
            known = machine.reset_peak()
            ones = [
                ask(contestant, order[place : place + 1], asked[place : place + 1], questions)
                for place in range(len(order))
            ]
            ask(contestant, order, asked, questions)
            found = contestant.speed.setdefault("memory", {})
            for name, most in machine.peak(known).items():
                found[f"{name}_peak_mb"] = found.get(f"{name}_loaded_mb", start[name]) + max(0.0, most - start[name])
            found |= {"first_ms": 1e3 * ones[0].seconds, "queries": len(order)}

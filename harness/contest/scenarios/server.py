"""`server`: queries arrive by chance, whether or not the last one is answered: latency under load.

Arrivals are Poisson's, at rates that the suite states or at shares of the contestant's own `offline` rate. Latency
counts from the moment at which a query was due, so that all queries behind a stall show it. What has arrived by the
time the contestant is free is asked at once, up to `at_once` queries.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from harness.contest import guard
from harness.contest.answers import checked, copied
from harness.contest.asking import Contestant, Questions, alive, cores, guarded, in_memory, no_collection, shuffled
from harness.contest.repetition import repeated
from harness.contract.dataset import Contents
from harness.machine import compute
from harness.machine.progress import track

SPIN_S = 0.002  # so long before a query is due we stop sleeping, which may last longer than asked
KEPT_UP = 0.95  # a contestant that answers at less than this share of the rate of arrival is overloaded
HALVINGS = 3  # of the step between the highest rate within the bound and the lowest beyond


def server(
    contestants: list[Contestant],
    questions: Questions,
    rng: np.random.Generator,
    rates: Sequence[float],
    shares: Sequence[float],
    queries: int,
    at_once: int,
    bound_ms: float | None,
    cap_s: float,
) -> None:
    """One rate after the other; at each, contestants have their turns in random order, with the same gaps."""
    order = shuffled(questions)[:queries]
    asked = in_memory(questions.queries[order])
    ones = [(query, asked[place : place + 1]) for place, query in enumerate(order.tolist())]
    gaps = rng.exponential(size=len(order))
    load = partial(_load, queries=asked, gaps=gaps, questions=questions, at_once=at_once, cap_s=cap_s)
    for rate, share in track([*((rate, None) for rate in rates), *((None, share) for share in shares)], "server rates"):
        for contestant in alive(contestants, rng):
            with guarded(contestant):
                own = contestant.speed["offline"]["qps"]["median"]
                _note(contestant, load(contestant, rate or (share or 1.0) * own), share)
    new = questions.new("server")
    for contestant in alive(contestants, rng):
        with guarded(contestant):
            found: dict[str, Any] = contestant.speed["server"]
            if bound_ms is not None:
                for _ in range(HALVINGS):
                    between = _between(found["rates"], bound_ms)
                    if between is None:
                        break
                    _note(contestant, {**load(contestant, between), "sought": True})
                kept = [each["rate"] for each in found["rates"] if _within(each, bound_ms)]
                found |= {"bound_ms": bound_ms, "within_bound": max(kept, default=None)}
            found["rates"].sort(key=lambda each: each["rate"])
            found["repeat"] = repeated(contestant, ones, new, questions, cap_s)


def _note(contestant: Contestant, found: dict[str, Any], share: float | None = None) -> None:
    asked_for = {} if share is None else {"share": share}
    contestant.speed.setdefault("server", {"rates": []})["rates"].append({**found, **asked_for})


def _within(found: dict[str, Any], bound_ms: float) -> bool:
    return bool(found["p99_ms"] <= bound_ms and not found["overloaded"])


def _between(found: Sequence[dict[str, Any]], bound_ms: float) -> float | None:
    """A rate between the highest that keeps the bound and the next that doesn't; None where there aren't both."""
    beyond = [each["rate"] for each in found if not _within(each, bound_ms)]
    kept = [each["rate"] for each in found if _within(each, bound_ms) and each["rate"] < min(beyond, default=0.0)]
    return float(np.sqrt(max(kept) * min(beyond))) if kept and beyond else None


def _load(
    contestant: Contestant,
    rate: float,
    queries: Contents,
    gaps: np.ndarray,
    questions: Questions,
    at_once: int,
    cap_s: float,
) -> dict[str, Any]:
    """Latencies of queries that arrive at this rate, as many of them as are due within `cap_s`."""
    due = np.cumsum(gaps) / rate
    due = due[: max(1, int(np.searchsorted(due, cap_s)))]
    search, clock = contestant.retriever.search, time.perf_counter
    latencies: list[float] = []
    answered: list[tuple[int, Any]] = []
    calls: list[float] = []
    cpu: list[float] = []
    compute.take_stages()
    with guard.kept(contestant.name, contestant.changed), no_collection():
        begun, at = clock(), 0
        while at < len(due):
            now = clock() - begun
            if now < due[at]:
                if due[at] - now > SPIN_S:
                    time.sleep(due[at] - now - SPIN_S)
                continue
            until = min(at + at_once, int(np.searchsorted(due, now, side="right")))
            mine, before, asked = queries[at:until], time.process_time(), clock()
            answer = search(mine, questions.k)
            done = clock() - begun
            calls.append(done + begun - asked)
            cpu.append(time.process_time() - before)
            latencies += (done - due[at:until]).tolist()
            answered.append((until - at, copied(answer)))
            at = until
            if done > 2 * cap_s:  # overloaded beyond use: who waits now waits longer than anyone would
                break
        spent = clock() - begun
    compute.take_stages()
    for count, answer in answered:
        checked(answer, questions.gallery, (count, questions.k))
    p50, p95, p99 = np.percentile(1e3 * np.array(latencies), [50, 95, 99])
    return {
        "rate": float(rate),
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "p99_ms": float(p99),
        "queries": len(latencies),
        "overloaded": bool(len(latencies) < len(due) or KEPT_UP * (spent - max(calls)) > due[-1]),
        "calls": {"p95_ms": 1e3 * float(np.percentile(calls, 95)), "longest_ms": 1e3 * max(calls)},
        "cpu": cores(cpu, calls),
    }

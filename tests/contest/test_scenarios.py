"""Batches of a few sizes, and queries that arrive by chance."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from test_timing import COUNT, OFFLINE, Failing, Scripted, run

from harness.contest.scenarios.server import _between

BATCH = {"batch": {"sizes": (8, 32), "queries": 96, "cap_s": 30.0}}


def server(**more: Any) -> dict[str, Any]:
    settings = {"rates": (), "shares": (), "queries": 60, "at_once": 16, "bound_ms": None, "cap_s": 10.0}
    return {"server": {**settings, **more}}


def test_batches_of_each_size_hold_the_same_queries() -> None:
    retriever = Scripted()
    found = run({**OFFLINE, **BATCH}, only=retriever)
    told = found.speed["batch"]
    assert {size: each["queries"] for size, each in told.items()} == {"8": 96, "32": 96}
    assert [len(each["qps"]["rounds"]) for each in told.values()] == [12, 3]
    assert all(each["p50_ms"] <= each["p95_ms"] for each in told.values())
    asked = retriever.asked[-96:]
    assert len(set(asked)) == 96, "each query once"


def test_a_larger_batch_is_faster_where_a_call_costs() -> None:
    class Slow(Scripted):
        def search(self, queries: Any, k: int) -> Any:
            time.sleep(0.01)
            return super().search(queries, k)

    told = run({**OFFLINE, **BATCH}, only=Slow()).speed["batch"]
    assert told["32"]["qps"]["median"] > 2 * told["8"]["qps"]["median"]


def test_fewer_queries_than_a_batch_make_one() -> None:
    told = run({**OFFLINE, "batch": {"sizes": (1000,), "queries": 1000, "cap_s": 1.0}}, only=Scripted()).speed["batch"]
    assert told["1000"]["queries"] == COUNT


def test_a_cap_ends_batches_early_and_a_failure_ends_one_contestant() -> None:
    settings = {"batch": {"sizes": (8,), "queries": 96, "cap_s": 0.05}}
    slow, failing = run({**OFFLINE, **settings}, slow=Scripted(seconds=0.004), failing=Failing("query 7"))
    assert 8 <= slow.speed["batch"]["8"]["queries"] < 96
    assert failing.failure


def test_latency_counts_from_when_a_query_was_due() -> None:
    """One stall of 0.3 s, while queries arrive every 5 ms: a tenth of a second's worth of them waits as well."""

    class Stalling(Scripted):
        def __init__(self, at: int) -> None:
            super().__init__()
            self.at = at

        def wait(self, text: str) -> None:
            """Queries of the first slice have been asked twice when `server` begins."""
            self.at -= text.startswith("query") and self.asked.count(text) == 3
            if self.at == 0:
                self.at = -1
                time.sleep(0.3)

    calm, stalled = (
        run({**OFFLINE, **server(rates=(200.0,), queries=100)}, only=Stalling(at)).speed["server"]["rates"][0]
        for at in (1000, 5)
    )
    assert stalled["queries"] == calm["queries"] == 100
    assert stalled["p99_ms"] > 200 and stalled["p95_ms"] > 100, "more than one query waited"
    assert calm["p50_ms"] < 50


def test_what_has_arrived_is_asked_at_once() -> None:
    class Slow(Scripted):
        sizes: list[int] = []

        def search(self, queries: Any, k: int) -> Any:
            self.sizes.append(len(queries))
            time.sleep(0.02)
            return super().search(queries, k)

    slow = Slow()
    run({**OFFLINE, **server(rates=(500.0,), at_once=7)}, only=slow)
    served = np.cumsum(slow.sizes[::-1])
    tail = slow.sizes[::-1][: int(np.searchsorted(served, 60)) + 1]
    assert sum(tail) == 60 and max(tail) == 7


def test_a_share_is_of_its_own_rate_and_too_much_is_overload() -> None:
    found = run({**OFFLINE, **server(shares=(0.1, 20.0), at_once=1)}, only=Scripted(seconds=0.002))
    low, high = found.speed["server"]["rates"]
    own = found.speed["offline"]["qps"]["median"]
    assert low["share"] == 0.1 and low["rate"] == pytest.approx(0.1 * own) and not low["overloaded"]
    assert high["overloaded"] and high["p99_ms"] > low["p99_ms"]


def test_the_rate_within_a_bound_is_between_those_that_were_tried() -> None:
    told = run({**OFFLINE, **server(shares=(0.1, 20.0), at_once=1, bound_ms=40.0)}, only=Scripted(seconds=0.002)).speed
    rates = told["server"]["rates"]
    kept = [each["rate"] for each in rates if each["p99_ms"] <= 40.0 and not each["overloaded"]]
    assert told["server"]["within_bound"] == (max(kept) if kept else None)
    assert [each["rate"] for each in rates] == sorted(each["rate"] for each in rates)
    assert len(rates) > 2 or not kept
    none = run({**OFFLINE, **server(rates=(100.0,), bound_ms=1e-6)}, only=Scripted()).speed["server"]
    assert none["within_bound"] is None and len(none["rates"]) == 1


def test_between_is_between() -> None:
    fine, late = ({"p99_ms": ms, "overloaded": False} for ms in (1.0, 100.0))
    assert _between([{**fine, "rate": 4.0}, {**late, "rate": 9.0}], 10.0) == pytest.approx(6.0)
    assert _between([{**fine, "rate": 4.0}], 10.0) is None and _between([{**late, "rate": 4.0}], 10.0) is None


def test_no_more_than_is_due_within_the_cap() -> None:
    begun = time.monotonic()
    told = run({**OFFLINE, **server(rates=(10.0,), cap_s=0.5)}, only=Scripted()).speed["server"]["rates"][0]
    assert told["queries"] < 20 and time.monotonic() - begun < 5

"""Controls: where they must be, and how far from it they may stray before a run is called broken."""

from __future__ import annotations

from typing import Any

import pytest
from folders import FIRST

from harness import record
from harness.scoring import broken_control


def control(kind: str, hit: float | None, **data: Any) -> Any:
    """A record of 1,000 candidates and 5,000 queries, of which a control found the share `hit` at once."""
    found: Any = record.load(FIRST)
    found["config"] = {"retriever": {"kind": kind}}
    found["data"] |= {"items": 1000, "queries": 5000, "chance": {"hit@1": 0.001}, "sampled_queries": None, **data}
    found["metrics"] = {"hit@1": {"value": hit, "low": None, "high": None}}
    return found


@pytest.mark.parametrize(
    ("kind", "hit"), [("random", 0.0), ("random", 0.003), ("constant", 0.001), ("oracle", 1.0), ("dual_tower", 0.5)]
)
def test_who_is_where_it_must_be(kind: str, hit: float) -> None:
    assert broken_control(control(kind, hit)) is None


@pytest.mark.parametrize(
    ("kind", "hit"), [("random", 0.005), ("constant", 0.01), ("oracle", 0.9998), ("random", None), ("oracle", None)]
)
def test_who_is_not(kind: str, hit: float | None) -> None:
    said = broken_control(control(kind, hit))
    assert said is not None and f"control dual has hit@1 {hit}" in said


@pytest.mark.parametrize("kind", ["random", "constant"])
def test_few_queries_may_find_more_by_chance(kind: str) -> None:
    assert broken_control(control(kind, 0.1, sampled_queries=10)) is None

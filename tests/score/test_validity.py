"""What makes a rate invalid: each limit from both sides, on records as they are written."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import FIRST, add, write_page

from harness.report import main_table
from harness.results import rows as results
from harness.score.validity import problems
from harness.store import record
from harness.store.run_folder import RunFolder

STEADY = [100.0, 101.0, 99.0, 100.0, 102.0, 98.0, 100.0, 101.0]
CPU = {"cores": 1.0, "threads": 1, "seconds": 2.0}


def rate(rounds: list[float]) -> dict[str, Any]:
    q25, median, q75 = np.percentile(rounds, [25, 50, 75]).tolist()
    return {"median": median, "q25": q25, "q75": q75, "rounds": rounds}


def sound() -> Any:
    """A record with nothing wrong in it."""
    found: Any = copy.deepcopy(record.load(FIRST))
    found["speed"] |= {
        "noise": {"others": 0.01, "noisy": False, "load": None},
        "single": {"p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0, "queries": 100, "cpu": CPU, "repeat": {"agree": 1.0}},
        "server": {"rates": [{"rate": 50.0, "p99_ms": 3.0, "queries": 500, "overloaded": False, "cpu": CPU}]},
    }
    found["speed"]["server"]["rates"][0]["calls"] = {"p95_ms": 2.0, "longest_ms": 40.0}
    found["speed"]["offline"] |= {
        "qps": rate(STEADY),
        "cpu": CPU,
        "first": {"ms": 100.0, "usual_ms": 1.0},
        "repeat": {"agree": 1.0, "speedup": 1.2},
    }
    return found


def kinds(found: Any) -> list[str]:
    return [each.kind for each in problems(found)]


def changed(where: str, value: Any) -> Any:
    found = sound()
    *path, last = where.split(".")
    inside = found["speed"]
    for key in path:
        inside = inside[int(key) if key.isdigit() else key]
    inside[last] = value
    return found


def test_a_sound_record_has_no_problem_and_an_old_one_is_judged_by_what_it_has() -> None:
    assert kinds(sound()) == []
    assert kinds(record.load(FIRST)) == ["noise", "few rounds", "few queries"]


CASES = [  # where, within the limit, beyond it, what it is then
    ("noise", {"others": 0.1, "noisy": False}, {"others": 0.3, "noisy": True}, "noise"),
    ("offline.qps", rate([100.0] * 5), rate([100.0] * 4), "few rounds"),
    ("offline.qps", rate([92.0, 100.0, 108.0] * 3), rate([80.0, 100.0, 120.0] * 3), "unstable"),
    ("offline.qps", rate([100.0 + n for n in range(8)]), rate([100.0 + 3 * n for n in range(8)]), "drift"),
    ("offline.processes", [100.0, 115.0], [100.0, 130.0], "processes differ"),
    ("offline.repeat", {"agree": 1.0, "speedup": 1.4}, {"agree": 1.0, "speedup": 1.8}, "cache"),
    ("single.repeat", {"agree": 1.0, "speedup": 1.4}, {"agree": 1.0, "speedup": 1.8}, "cache"),
    ("single.repeat", {"agree": 1.0, "unseen": 1.4}, {"agree": 1.0, "unseen": 1.8}, "cache"),
    ("server.repeat", {"unseen": 1.4}, {"unseen": 1.8}, "cache"),
    ("offline.repeat", {"agree": 1.0, "speedup": 1.0}, {"agree": 0.9, "speedup": 1.0}, "answers differ"),
    ("single.repeat", {"agree": 1.0}, {"agree": 0.9}, "answers differ"),
    ("offline.processes_agree", 1.0, 0.9, "answers differ"),
    ("single.queries", 100, 99, "few queries"),
    ("server.rates.0.queries", 500, 499, "few queries"),
    ("single.cpu", {**CPU, "cores": 1.1}, {**CPU, "cores": 1.6}, "too many threads"),
    ("server.rates.0.cpu", {**CPU, "cores": 1.9, "threads": 2}, {**CPU, "cores": 1.9}, "too many threads"),
    ("offline.cpu", {**CPU, "cores": 1.6, "seconds": 0.001}, {**CPU, "cores": 1.6}, "too many threads"),
    ("server.rates.0.calls", {"p95_ms": 20, "longest_ms": 140}, {"p95_ms": 20, "longest_ms": 300}, "stall"),
    ("offline.first", {"ms": 900, "usual_ms": 700}, {"ms": 900, "usual_ms": 20}, "slow first answer"),
]


@pytest.mark.parametrize(("where", "fine", "beyond", "kind"), CASES)
def test_each_limit_from_both_sides(where: str, fine: Any, beyond: Any, kind: str) -> None:
    assert kinds(changed(where, fine)) == []
    (problem,) = problems(changed(where, beyond))
    assert problem.kind == kind and problem.found and problem.remedy
    assert problem.invalid == (kind != "slow first answer")


def test_a_jump_that_the_rounds_themselves_show_is_no_cache() -> None:
    """The repeated slice was asked in a quiet moment, and so was one of the rounds."""
    found = changed("offline.repeat", {"agree": 1.0, "speedup": 2.0})
    assert kinds(found) == ["cache"]
    found["speed"]["offline"]["qps"] = rate([*STEADY[1:], 190.0])
    assert kinds(found) == []


def test_on_a_busy_machine_one_repeated_slice_takes_more_to_accuse() -> None:
    found = changed("offline.repeat", {"agree": 1.0, "speedup": 2.0})
    found["speed"]["noise"] = {"others": 0.8, "noisy": True}
    assert kinds(found) == ["noise"]
    found["speed"]["offline"]["repeat"]["speedup"] = 4.0
    assert kinds(found) == ["noise", "cache"]


def test_controls_are_not_judged_unless_they_learn() -> None:
    few = changed("single.queries", 1)
    assert problems({**few, "config": {"retriever": {"kind": "null"}}}) == []
    assert problems({**few, "paradigm": "control", "config": {"retriever": {"kind": "dual_tuned"}}}) != []


def test_what_holds_for_all_is_said_once_and_what_holds_for_one_beside_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    few, cached = changed("single.queries", 20)["speed"], changed("single.queries", 20)["speed"]
    cached["offline"]["repeat"] = {"agree": 1.0, "speedup": 30.0}
    for name, speed in (("dual", few), ("quick", cached)):
        add(folder, 0, name, speed=speed)
    add(folder, 0, "null", speed=few, config={"retriever": {"kind": "null"}})
    rows = results.rows(folder, folder.records())
    text = main_table.markdown("t", rows, [1], None)
    body = [line for line in text.splitlines() if line.startswith("| ")]
    assert not [line for line in body if "few queries" in line]
    assert ["INVALID: cache" in line for line in body] == ["quick" in line for line in body]
    assert text.count("INVALID: few queries (all): p95 of single queries is of 20 queries; ask 100 (") == 1
    assert "INVALID: cache (quick): queries that were asked before took" in text
    told = {line.split(",")[1]: line for line in main_table.comma_separated(rows).splitlines()}
    assert "cache" in told["quick"] and "few queries" in told["dual"] and "few queries" not in told["null"]

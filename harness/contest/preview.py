"""A first look while the dear contestants are still to be made: how often the dual towers are right, on some queries.

Quality only: nothing is timed here, and nothing of it is written down. Called by the runner.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from harness.contest import guard
from harness.contest.asking import Contestant
from harness.contest.task import Task
from harness.contract.retriever import Ranking
from harness.machine import compute, interruption
from harness.machine.progress import say
from harness.score.metrics import per_query

BUDGET_S = 1.0  # for all of them together
AT_ONCE, MOST = 50, 500  # queries


def show(contestants: Sequence[Contestant], task: Task, ks: Sequence[int]) -> None:
    """A line each. Who fails here is left out: it will fail where it counts, and be recorded."""
    queries = np.random.default_rng(0).permutation(len(task.queries))[:MOST]
    lines = []
    for contestant in contestants:
        try:
            with guard.kept(contestant.name, contestant.changed):
                found = _asked(contestant, task, queries, max(ks), BUDGET_S / len(contestants))
            hits = per_query(found, task.links.take(queries[: len(found)]), ks, task.items)
        except BaseException as error:
            interruption.let_pass(error)
            continue
        words = ", ".join(f"hit@{k} {100 * hits[f'hit@{k}'].mean():.1f} %" for k in ks)
        lines.append(f"    {contestant.name}: {words} of {len(found)} queries")
    compute.take_stages()  # the contest begins with none
    if lines:
        say("  a preview, of quality alone; what is measured comes when all are ready:")
        for line in lines:
            say(line)


def _asked(contestant: Contestant, task: Task, queries: np.ndarray, k: int, budget: float) -> np.ndarray:
    """int64 [n, k]: answers to the first of these queries, as many as the time allows, and to a few in any case."""
    found: list[np.ndarray] = []
    end = time.perf_counter() + budget
    for start in range(0, len(queries), AT_ONCE):
        answer = Ranking(*contestant.retriever.search(task.queries[queries[start : start + AT_ONCE]], k))
        found.append(np.array(answer.ids, np.int64))
        if time.perf_counter() > end:
            break
    return np.concatenate(found)

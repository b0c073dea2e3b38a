"""Asks contestants in fresh processes, which load them from the store. Called by the runner.

A process has its own layout of memory and its own luck: rates that are to be published are those of several
(`processes` of `offline`). And what a contestant needs of memory shows only where it is alone (`memory`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.contest import child
from harness.contest.asking import Contestant, quartiles
from harness.contest.builder import Builder
from harness.contest.scenarios.single import latencies
from harness.contract.retriever import Ranking, taken
from harness.machine import compute, environment, memory
from harness.machine.progress import say
from harness.score.agreement import agreement
from harness.suite.spec import Cell, Suite

ALONE = ("memory",)  # scenarios that are a process's only one
ONCE = ("server",)  # timed by the first process alone: its loads are shares of that one's rate
Scenarios = Mapping[str, Mapping[str, Any]]


class Job(NamedTuple):
    cells: tuple[Cell, ...]  # of one task and seed
    scenarios: Scenarios
    process: int
    depth: int
    cache: Path
    data: Path
    compute: compute.Compute


class Measured(NamedTuple):
    """What came of a contestant in another process."""

    failure: str | None
    speed: dict[str, Any]
    ms: list[float]  # of its single queries
    queries: np.ndarray  # int64 [n], ascending
    ranking: Ranking | None


def shared(scenarios: Scenarios) -> Scenarios:
    """Those in which contestants stand side by side."""
    return {name: settings for name, settings in scenarios.items() if name not in ALONE}


def ask(
    ready: Sequence[tuple[Cell, Contestant]], suite: Suite, builder: Builder, depth: int, noise: dict[str, Any]
) -> dict[str, Any]:
    """All that the suite wants of fresh processes, added to what is known of each contestant; the worst noise."""
    left = [(cell, contestant) for cell, contestant in ready if contestant.failure is None]
    again = {name: settings for name, settings in shared(suite.scenarios).items() if name not in ONCE}
    runs = [(left, again)] * (suite.scenarios["offline"]["processes"] - 1)
    alone = {name: settings for name, settings in suite.scenarios.items() if name in ALONE}
    runs += [([each], alone) for each in left if alone]
    for process, (members, scenarios) in enumerate(runs, 1):
        members = [(cell, contestant) for cell, contestant in members if contestant.failure is None]
        if not members:
            continue
        say(f"  a fresh process: {', '.join(scenarios)} of {', '.join(contestant.name for _, contestant in members)}")
        cells = tuple(cell for cell, _ in members)
        job = Job(cells, scenarios, process, depth, builder.store.root, builder.data, compute.current())
        (answer,) = child.answers("harness.contest.fresh:work", [job], suite.limit_s, "; raise the suite's `limit_s`")
        if answer.failure is not None:
            for _, contestant in members:
                contestant.failure = answer.failure
            continue
        found, theirs = answer.value
        if scenarios is again:  # what is alone isn't timed
            noise = max(noise, theirs, key=lambda each: each["others"] or 0.0)
        for (_, contestant), measured in zip(members, found, strict=True):
            contestant.failure = measured.failure
            if measured.failure is None:
                _add(contestant, measured)
    return noise


def work(job: Job) -> tuple[list[Measured], dict[str, Any]]:
    """In the child."""
    from harness.contest.questions import questions
    from harness.contest.timing import contest
    from harness.store.artifacts import Store

    compute.configure(job.compute.device, job.compute.threads, job.compute.choices)
    builder = Builder(Store(job.cache), job.data)
    task = builder.task(job.cells[0].task)
    asked = questions(builder, task, job.cells, job.depth, job.process)
    before = memory.in_use()
    contestants = [
        Contestant(cell.retriever.name, builder.retriever(cell, task), cell.retriever.component.queries)
        for cell in job.cells
    ]
    if "memory" in job.scenarios:
        states = {"before": before, "loaded": memory.in_use()}
        contestants[0].speed["memory"] = {
            f"{where}_{state}_mb": mb for state, found in states.items() for where, mb in found.items()
        }
    quiet = environment.busy()
    contest(contestants, asked, job.scenarios)
    noise = environment.noise(quiet, environment.busy())
    return [
        Measured(
            each.failure,
            each.speed,
            [one.ms for one in each.singles],
            each.queries if each.rounds else np.empty(0, np.int64),
            each.ranking if each.rounds else None,
        )
        for each in contestants
    ], noise


def _add(contestant: Contestant, other: Measured) -> None:
    """Rates and latencies are over all processes; each process's median is kept beside them."""
    mine = contestant.speed
    for name in ALONE:
        if name in other.speed:
            mine[name] = other.speed[name]
    for here, there in _rated(mine, other.speed):
        here.setdefault("processes", [here["qps"]["median"]]).append(there["qps"]["median"])
        here["qps"] = quartiles([*here["qps"]["rounds"], *there["qps"]["rounds"]])
    if other.ranking is not None:
        _, ours, theirs = np.intersect1d(contestant.queries, other.queries, return_indices=True)
        same = agreement(taken(contestant.ranking, ours), taken(other.ranking, theirs))
        mine["offline"]["processes_agree"] = min(same, mine["offline"].get("processes_agree", 1.0))
    if other.ms:
        single = mine["single"]
        single.setdefault("processes", [single["p50_ms"]]).append(other.speed["single"]["p50_ms"])
        contestant.ms += other.ms
        single |= latencies([*(one.ms for one in contestant.singles), *contestant.ms])


def _rated(mine: dict[str, Any], theirs: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What has a rate here and there: `offline`, and each size of `batch`."""
    pairs = [(mine["offline"], theirs["offline"])] if "offline" in theirs else []
    return pairs + [(mine["batch"][size], each) for size, each in theirs.get("batch", {}).items()]

"""Times prepared contestants side by side, scenario after scenario. Called by the runner.

The answers of the timed rounds are those that are scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.contest.answers import joined
from harness.contest.asking import Contestant, Questions, collected, guarded
from harness.contest.scenarios import SCENARIOS
from harness.contract.retriever import taken
from harness.machine import compute
from harness.score.agreement import agreement


def contest(
    contestants: list[Contestant], questions: Questions, scenarios: Mapping[str, Mapping[str, Any]]
) -> list[Contestant]:
    """Run every scenario over all contestants, `offline` first; one that fails is out, the others go on."""
    with collected():
        for number, (name, settings) in sorted(enumerate(scenarios.items()), key=lambda each: each[1][0] != "offline"):
            rng = np.random.default_rng([questions.seed, number])
            with compute.limited_threads(_threads(name)):
                SCENARIOS[name](contestants, questions, rng, **settings)
    for contestant in contestants:
        with guarded(contestant):
            _compare(contestant)
    return contestants


def _threads(scenario: str) -> int:
    settled = compute.current()
    return settled.single_threads if scenario == "single" else settled.usual_threads


def _compare(contestant: Contestant) -> None:
    """Compare its answers one by one with those to the same queries in batches."""
    ones = {one.query: one.ranking for one in contestant.singles}
    shared, _, rows = np.intersect1d(list(ones), contestant.queries if contestant.rounds else [], return_indices=True)
    if contestant.failure is None and len(shared):
        alone, together = joined([ones[query] for query in shared.tolist()], shared), contestant.ranking
        contestant.speed["single"] |= {"agree": agreement(taken(together, rows), alone), "compared": len(shared)}

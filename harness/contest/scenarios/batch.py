"""`batch`: batches of a few sizes, as a service gets them that collects queries: rate and latency by size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.contest.asking import Contestant, Questions, Round, alive, ask, cores, guarded, in_memory, qps, shuffled
from harness.machine.progress import track


def batch(
    contestants: list[Contestant],
    questions: Questions,
    rng: np.random.Generator,
    sizes: Sequence[int],
    queries: int,
    cap_s: float,
) -> None:
    """Every size gets the same queries. After each batch the next contestant has its turn.

    A contestant has `cap_s` for each size, after the first batch of it.
    """
    order = shuffled(questions)[:queries]
    for size in sizes:
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        parts = [part for part in parts if len(part) == size] or parts[:1]
        found: dict[str, list[Round]] = {contestant.name: [] for contestant in contestants}
        for contestant in alive(contestants, rng):
            with guarded(contestant):
                warm = np.resize(np.arange(len(questions.warm)), len(parts[0]))
                ask(contestant, warm, in_memory(questions.warm[warm]), questions)
        for part in track(parts, f"batches of {size}"):
            asked = in_memory(questions.queries[part])
            for contestant in alive(contestants, rng):
                mine = found[contestant.name]
                if sum(each.seconds for each in mine) < cap_s:
                    with guarded(contestant):
                        mine.append(ask(contestant, part, asked, questions))
        for contestant in alive(contestants, rng):
            contestant.speed.setdefault("batch", {})[str(size)] = _summary(found[contestant.name])


def _summary(rounds: Sequence[Round]) -> dict[str, object]:
    p50, p95 = np.percentile([1e3 * each.seconds for each in rounds], [50, 95])
    return {
        "qps": qps(rounds),
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "cpu": cores([each.cpu for each in rounds], [each.seconds for each in rounds]),
        "queries": int(sum(len(each.queries) for each in rounds)),
    }

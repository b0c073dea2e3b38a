"""`offline`: all queries at once, in interleaved rounds over disjoint slices. Its answers are those that are scored."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from harness.contest import guard
from harness.contest.asking import Contestant, Questions, Round, alive, ask, cores, guarded, in_memory, qps, shuffled
from harness.machine.progress import track
from harness.score.agreement import agreement

STABLE = 0.10  # two warm-up rates this close are stable
REST = 2  # times `cap_s`, the most that the rest of all queries may take


def offline(
    contestants: list[Contestant],
    questions: Questions,
    rng: np.random.Generator,
    rounds: int,
    cap_s: float,
    processes: int = 1,
) -> None:
    """All queries in disjoint slices. A contestant too slow for `cap_s`, or with a limit, gets the first few of each.

    `processes`: this is one of so many, which the runner sees to.

    Both get the first queries of the order that all share. So that answers don't depend on the machine's speed, one
    with a limit is asked all queries up to it, untimed after `cap_s`; another one all there are, if the rest takes no
    longer than `REST` times `cap_s`.
    """
    order = shuffled(questions)
    rounds = max(1, min(rounds, len(order)))
    slices = [order[number::rounds] for number in range(rounds)]
    for contestant in alive(contestants, rng):
        with guarded(contestant):
            _reset(contestant)
            most = _share(contestant, 0, slices)
            rate = _warm_up(contestant, questions, most, cap_s / 4)
            contestant.per_round = int(np.clip(rate * cap_s / len(slices), 1, most))
            _reset(contestant)
    for number, part in enumerate(track(slices, "offline rounds")):
        queries = in_memory(questions.queries[part])
        for contestant in alive(contestants, rng):
            mine = slice(0, min(contestant.per_round, _share(contestant, number, slices)))
            if mine.stop or not len(part):
                with guarded(contestant):
                    contestant.rounds.append(ask(contestant, part[mine], queries[mine], questions))
    again = in_memory(questions.queries[slices[0]])
    for contestant in alive(contestants, rng):
        with guarded(contestant):
            with guard.kept(contestant.name, contestant.changed):
                contestant.counts = dict(contestant.retriever.counts())
            first = contestant.rounds[0]
            repeated = ask(contestant, first.queries, again[: len(first.queries)], questions)
            contestant.speed["offline"] = _summary(contestant, repeated, questions.warm_name)
    for contestant in alive(contestants, rng):
        with guarded(contestant):
            left = np.setdiff1d(order[: contestant.limit], contestant.queries)
            if contestant.limit is not None or len(left) <= REST * cap_s * contestant.speed["offline"]["qps"]["median"]:
                _ask_the_rest(contestant, left, questions)


def _ask_the_rest(contestant: Contestant, left: np.ndarray, questions: Questions) -> None:
    size = max(1, contestant.per_round)
    for start in track(range(0, len(left), size), "untimed queries"):
        part = left[start : start + size]
        contestant.untimed.append(ask(contestant, part, in_memory(questions.queries[part]), questions))


def _reset(contestant: Contestant) -> None:
    with guard.kept(contestant.name, contestant.changed):
        contestant.retriever.reset_counts()


def _share(contestant: Contestant, number: int, slices: list[np.ndarray]) -> int:
    """The number of queries of this slice within its limit: those of a smaller limit are always among a larger's."""
    if contestant.limit is None:
        return len(slices[number])
    each, left = divmod(contestant.limit, len(slices))
    return min(len(slices[number]), each + (number < left))


def _warm_up(contestant: Contestant, questions: Questions, size: int, budget: float) -> float:
    """Search until the rate is stable; the last rate, in queries a second.

    The first two calls ask one query each, so that a first answer which takes longer than others shows. From then on
    eight times as many, or as many as fit into the budget: what is slow in small numbers may be fast in large ones.
    """
    begun, place, asked, rates = time.perf_counter(), 0, 1, list[float]()
    while True:
        positions = np.arange(place, place + asked) % len(questions.warm)
        part = ask(contestant, positions, in_memory(questions.warm[positions]), questions)
        place += asked
        rates.append(asked / max(part.seconds, 1e-9))
        if len(rates) <= 2:
            asked = 1 if len(rates) < 2 else min(size, 8)
            continue
        contestant.first = {"ms": 1e3 / rates[0], "usual_ms": 1e3 / rates[1]}
        stable = asked == size and abs(rates[-1] - rates[-2]) <= STABLE * rates[-1]
        more = int(min(size, 8 * asked, rates[-1] * (budget - time.perf_counter() + begun)))
        if stable or len(rates) > 9 or (more <= asked if asked < size else more < size):
            return rates[-1]
        asked = more


def _summary(contestant: Contestant, repeated: Round, warm_name: str) -> dict[str, Any]:
    rates = qps(contestant.rounds)
    asked = sum(len(part.queries) for part in contestant.rounds)
    names = sorted({name for part in contestant.rounds for name in part.stages})
    first = contestant.rounds[0]
    return {
        "qps": rates,
        "stages": {name: sum(part.stages.get(name, 0.0) for part in contestant.rounds) / asked for name in names},
        "round_queries": contestant.per_round,
        "counted": asked,
        "repeat": {
            "agree": agreement(first.ranking, repeated.ranking),
            "speedup": len(repeated.queries) / repeated.seconds / rates["median"],
        },
        "warm_up": warm_name,
        "first": contestant.first,
        "cpu": cores([part.cpu for part in contestant.rounds], [part.seconds for part in contestant.rounds]),
    }

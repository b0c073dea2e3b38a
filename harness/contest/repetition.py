"""Asks one by one, and asks again: who remembers an answer is faster than on new queries, and who draws one differs.

A retriever may have seen a scenario's queries in an earlier one, so they are compared with some that nobody was asked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from harness.contest import guard
from harness.contest.answers import checked, copied, joined
from harness.contest.asking import Contestant, Questions, Single, no_collection
from harness.contract.dataset import Contents
from harness.contract.retriever import Ranking
from harness.machine import compute
from harness.score.agreement import agreement

AGAIN = 20  # queries
LEAST = 5
SHARE = 0.1  # of a scenario's `cap_s`, the most that this may take of a slow retriever


def one_by_one(contestant: Contestant, ones: Sequence[tuple[int, Contents]], questions: Questions) -> list[Single]:
    """Its answer to each, and the time."""
    search, k, found = contestant.retriever.search, questions.k, []
    clock, cpu = time.perf_counter_ns, time.process_time_ns
    with guard.kept(contestant.name, contestant.changed), no_collection():
        for query, one in ones:
            before, begun = cpu(), clock()
            answer = search(one, k)
            taken = (clock() - begun) / 1e6
            found.append(Single(query, copied(answer), taken, (cpu() - before) / 1e6))
    compute.take_stages()
    for single in found:
        checked(single.ranking, questions.gallery, (1, k))
    return found


def repeated(
    contestant: Contestant,
    ones: Sequence[tuple[int, Contents]],
    new: Contents | None,
    questions: Questions,
    cap_s: float,
    first: Sequence[Single] = (),
) -> dict[str, float]:
    """`unseen`: how many times as fast as `new` queries, asked in turns; without such `speedup`, over the `first` time.

    A busy machine makes some calls slower, never faster: what half of the repeated ones take is compared with the
    fastest of the others. With fewer than `LEAST` that says nothing, and is left out.
    """
    found: dict[str, float] = {}
    if new is None and not first:  # nothing to compare with
        return found
    budget, second, fresh = 1e3 * SHARE * cap_s, list[Single](), list[Single]()
    for place, one in enumerate(ones[:AGAIN]):
        second += one_by_one(contestant, [one], questions)
        if new is not None and place < len(new):
            fresh += one_by_one(contestant, [(-1, new[place : place + 1])], questions)
        if sum(each.ms for each in (*second, *fresh)) > budget:
            break
    if first:
        found["agree"] = agreement(_together(first[: len(second)]), _together(second))
    others = fresh or first[: len(second)]
    if len(others) >= LEAST:
        gain = min(one.ms for one in others) / np.median([one.ms for one in second])
        found["unseen" if fresh else "speedup"] = float(gain)
    return found


def _together(singles: Sequence[Single]) -> Ranking:
    return joined([one.ranking for one in singles], np.arange(len(singles)))

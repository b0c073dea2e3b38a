"""What can't be trusted in a table: a few words in a row's note, and a line below it for each kind of problem."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from harness.results.rows import Row, doubts
from harness.score.scoring import blind
from harness.score.validity import Problem

LATENCIES = frozenset({"few queries", "stall"})  # they concern the slowest answers, and no rate


def common(group: Sequence[Row]) -> set[str]:
    """The kinds that all contestants of a table share, where there are several: said once, below it."""
    kinds = [set(doubts(row)) for row in group if row.records and not blind(row.records[0])]
    return set.intersection(*kinds) if len(kinds) > 1 else set()


def note(row: Row, shared: Collection[str]) -> list[str]:
    own = [each for kind, each in doubts(row).items() if kind not in shared]
    invalid = ", ".join(each.kind for each in own if each.invalid)
    return [*([f"INVALID: {invalid}"] if invalid else []), *(each.kind for each in own if not each.invalid)]


def comparable(*group: Row) -> bool:
    """Whether their rates may be compared: taken in one session, and none of them invalid."""
    sessions = {session for row in group for session in row.sessions}
    return len(sessions) == 1 and not any(_spoils_rates(each) for row in group for each in doubts(row).values())


def _spoils_rates(problem: Problem) -> bool:
    return problem.invalid and problem.kind not in LATENCIES


def lines(group: Sequence[Row], rates: bool = False) -> list[str]:
    """Who has a problem, what was found where it is worst, and what to do. `rates`: only what makes these invalid."""
    by_kind: dict[str, list[tuple[str, Problem]]] = {}
    for row in group:
        for kind, problem in doubts(row).items():
            if not rates or _spoils_rates(problem):
                by_kind.setdefault(kind, []).append((row.retriever, problem))
    shared, texts = common(group), list[str]()
    for kind, members in by_kind.items():
        name, most = max(members, key=lambda each: each[1].size)
        alike = all(problem.found == most.found for _, problem in members)
        who = "all" if kind in shared else ", ".join(name for name, _ in members)
        found = most.found if alike else f"at worst ({name}) {most.found}"
        texts.append(f"{'INVALID: ' if most.invalid else ''}{kind} ({who}): {found}; {most.remedy}")
    return texts

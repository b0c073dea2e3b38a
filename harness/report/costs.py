"""What a run was made of: each artifact once, its seconds, its share of the whole, and the retrievers that use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.machine.escaping import row
from harness.store.record import Record

SMALL = 0.01  # shares below are summed up in one line


@dataclass(frozen=True)
class Cost:
    artifact: str
    seconds: float
    users: tuple[str, ...]


def costs(records: Sequence[Record]) -> list[Cost]:
    """The most expensive first. A shared artifact counts once, whether it was made now or found."""
    seconds: dict[tuple[str, str], float] = {}
    users: dict[tuple[str, str], dict[str, None]] = {}
    for record in records:
        for name, artifact in (record["cost"] or {"artifacts": {}})["artifacts"].items():
            key = (name, artifact["digest"])
            seconds[key] = artifact["s"]
            users.setdefault(key, {})[record["retriever"]] = None
    found = [Cost(name, spent, tuple(users[name, digest])) for (name, digest), spent in seconds.items()]
    return sorted(found, key=lambda cost: -cost.seconds)


def lines(found: Sequence[Cost]) -> list[str]:
    """`238.1 s  41 %  encoder small, seed 0: dual-exact, cart`; small ones are summed up in the last line."""
    whole = sum(cost.seconds for cost in found)
    if not whole:
        return []
    large = [cost for cost in found if cost.seconds / whole >= SMALL]
    lines = [f"{_spent(cost.seconds, whole)}  {cost.artifact}: {_names(cost.users)}" for cost in large]
    rest = sum(cost.seconds for cost in found[len(large) :])
    return [*lines, f"{_spent(rest, whole)}  {len(found) - len(large)} smaller ones"] if rest else lines


def _spent(seconds: float, whole: float) -> str:
    return f"{seconds:8.1f} s {100 * seconds / whole:5.1f} %"


def _names(users: Sequence[str], most: int = 4) -> str:
    return ", ".join(users[:most]) + (f" and {len(users) - most} more" if len(users) > most else "")


def markdown(found: Sequence[Cost]) -> str:
    whole = sum(cost.seconds for cost in found) or 1.0
    table = ["| artifact | s | share | used by |", "|---|---|---|---|"]
    table += [
        row([cost.artifact, f"{cost.seconds:.1f}", f"{100 * cost.seconds / whole:.1f} %", ", ".join(cost.users)])
        for cost in found
    ]
    note = f"{whole:.0f} s in all; what several share is counted once, whether it was made in this run or found."
    return "\n".join(["# What the run was made of", "", *table, "", note, ""])

"""What is said around a task's table: captions, notes on rows, who is left out and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from harness.report import validity
from harness.results.rows import Row, by_task, inside, near_chance

ALIKE = 0.99  # share of answers that may be expected to be the same one by one and in a batch
LEGEND = "Bold: the best of its column, controls and invalid rates aside; °: its bracket reaches the best's number."
FOOT = (
    "Brackets: 95 % interval, clustered by item, for these models (from three seeds on, for others trained like them: "
    "over seeds and items); quartiles of the rounds for rates. queries/s: query in, ids out, all queries at once "
    "(`offline`). p50, p95: one query at a time (`single`). fit s and index s count every artifact, made now or "
    "found. index: what grows with the gallery + what doesn't (codebooks, centroids). (of 200): a retriever with fewer "
    "queries than others is asked the first 200 of one drawn order."
)


def notes(row: Row, session: str | None, shared: Collection[str] = ()) -> str:
    """What to know of a row; the problems that all rows share stand below the table."""
    found = validity.note(row, shared)
    if session is not None and any(each != session for each in row.sessions):
        found.append("timing reused")
    if len(row.seeds) > 1:
        found.append(f"{len(row.seeds)} seeds")
    if row.asked is not None and not all(each["config"]["retriever"].get("queries") for each in row.records):
        found.append("too slow for all queries")
    found += dict.fromkeys(_chosen(tried) for each in row.records if (tried := inside(each, ("details", "tried"))))
    alone = [inside(each, ("speed", "single", "agree")) for each in row.records]
    same = min((share for share in alone if share is not None), default=1.0)
    if same < ALIKE:
        found.append(f"one by one it answers otherwise ({100 * (1 - same):.0f} % of queries)")
    changed = dict.fromkeys(name for each in row.records for name in each.get("changed", ()))
    if changed:
        found.append(f"changed what all share: {', '.join(changed)}")
    return "; ".join(found)


def _chosen(tried: Sequence[Mapping[str, float]]) -> str:
    """The best of the settings that were tried on validation."""
    return (
        ", ".join(f"{name} {value:g}" for name, value in tried[0].items() if name != "hit@1") + " chosen on validation"
    )


LEAKS = {
    "learned": "LEAK: its {:,} items are those to learn from",
    "items": "LEAK: {:,} items are also among those to learn from",
    "captions": "{:,} captions read like one to learn from",
    "ambiguous": "{:,} captions fit several items",
}


def caption(group: Sequence[Row]) -> str:
    """The lines above a task's table: what was measured, the chance level and the ceiling."""
    measured = [row for row in group if row.records]
    if not measured:
        return "nothing measured"
    data: Any = measured[0].records[0]["data"]
    words = [f"{data['items']:,} candidates", f"{data['queries']:,} queries"]
    if measured[0].folds:
        folds: list[Any] = [each["data"] for each in measured[0].records]
        words = [f"mean of {measured[0].folds} folds, each of {_span(folds, 'items')} candidates"]
        words.append(f"{_span(folds, 'queries')} queries")
        absent = sum({each["digest"]: each["dropped"] for each in folds}.values())
        data = {**data, "dropped": absent, "expected": data.get("present")}
    elif data.get("present") != data.get("expected"):
        words.append(f"{data['present']:,} of the literature's {data['expected']:,} items")
    if data.get("added"):
        words.append(f"{data['added']:,} of the candidates added when the others were indexed")
    if data["dropped"]:
        words.append(f"{data['dropped']:,} items missing")
    if data.get("positives"):
        words.append(f"{data['positives']:.3g} right ones a query")
    words.append(f"chance {100 * min(data['chance'].values()):.3g} % at hit@{_first_k(data)}")
    if data["ceiling"] is not None:
        words.append(f"ceiling {100 * data['ceiling']:.1f} % at hit@1")
    leaks: Any = data.get("leaks") or {}
    words += [text.format(leaks[kind]) for kind, text in LEAKS.items() if leaks.get(kind)]
    return ("generated data; " if data["generated"] else "") + ", ".join(words)


def chance_note(group: Sequence[Row]) -> str | None:
    """Names the retrievers that are not certainly better than chance."""
    names = [row.retriever for row in group if near_chance(row)]
    if not names:
        return None
    return (
        f"near chance: {', '.join(names)}. No hit@k of theirs is certainly above that of a random order: there was too "
        "little to learn from, or too few queries to tell"
    )


def _span(folds: Sequence[Any], key: str) -> str:
    least, most = min(data[key] for data in folds), max(data[key] for data in folds)
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


def _first_k(data: Any) -> str:
    return min(data["chance"], key=data["chance"].get).removeprefix("hit@")


def sessions_note(group: Sequence[Row]) -> str | None:
    """Rates in one table come from one session, or the table says they don't."""
    sessions = sorted({session for row in group for session in row.sessions})
    if len(sessions) > 1:
        return f"rates come from {len(sessions)} sessions ({', '.join(sessions)}): don't compare them with each other"
    return None


def not_compared(group: Sequence[Row]) -> list[str]:
    """Why some rates of one contest are not compared: their sessions, and what makes them invalid."""
    return [*filter(None, [sessions_note(group)]), *validity.lines(group, rates=True)]


def left_out(group: Sequence[Row]) -> list[tuple[list[str], str, str]]:
    """Retrievers without numbers, grouped by reason: names, status, reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in group:
        if row.status != "ok":
            found.setdefault((row.status, row.reason), []).append(row.retriever)
    return [(names, status, reason) for (status, reason), names in found.items()]


def unavailable_note(group: Sequence[Row]) -> str | None:
    """One sentence for a task that is unavailable to all, in place of a row each."""
    reasons = {row.reason for row in group}
    if len(reasons) == 1 and all(row.status == "unavailable" for row in group):
        return f"unavailable: {reasons.pop()}"
    return None


def parted(all_rows: Sequence[Row]) -> tuple[dict[str, list[Row]], dict[str, list[str]]]:
    """Each task's rows; and, by the reason, the tasks that are unavailable to all, which have no table."""
    here: dict[str, list[Row]] = {}
    absent: dict[str, list[str]] = {}
    for task, group in by_task(all_rows).items():
        reason = unavailable_note(group)
        if reason:
            absent.setdefault(reason, []).append(task)
        else:
            here[task] = group
    return here, absent

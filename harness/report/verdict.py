"""What came out of a run, in a few plain sentences with their uncertainty. Shown below the tables, and by whoever asks.

The best contestant, and the best of each paradigm, against the reference of `against`. Nobody near chance is praised,
no difference is told that a test doesn't find, no rates are compared that don't compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from harness.report.against import Line
from harness.report.words import quantity, size
from harness.results.folds import without_parts
from harness.results.rows import Row, by_task, competes, doubts, near_chance, rounds_of
from harness.score.rates import interval, log_ratios

TASKS = 3  # of a run, at most
FIRST, OTHERS = 3, 2  # contestants of the first task, and of each other one
LEVEL = 0.05
THINGS = {"audio": "clip", "image": "picture", "video": "video"}


class Task(NamedTuple):
    reference: Row
    lines: dict[str, Line]  # by retriever, against the reference
    rows: list[Row]  # who competes, best first

    @property
    def thing(self) -> str:
        """What is looked for."""
        task, data = self.reference.task, self.reference.records[0]["data"]
        if task.split("/")[2:] and task.split("/")[2].partition("+")[0].endswith("-text"):
            return "caption"
        return THINGS.get(data["modality"] if data else "", "item")


def sentences(rows: Sequence[Row], held: Sequence[Line]) -> list[str]:
    """About three; none where nobody competes with anybody. `held`: everybody against a reference."""
    found: list[str] = []
    tasks = list(_tasks(rows, held))
    for number, task in enumerate(sorted(tasks, key=lambda each: each.thing == "caption")[:TASKS]):
        said = list(_of(task))[: OTHERS if number else FIRST]
        found += [f"{_where(task)}: {said[0]}", *said[1:]] if said else []
    return found


def _tasks(rows: Sequence[Row], lines: Sequence[Line]) -> Iterator[Task]:
    for name, group in by_task(without_parts(rows)).items():
        held = {line.pair.first: line for line in lines if line.pair.task == name}
        against_whom = {line.pair.second for line in held.values()}
        fine = [row for row in group if competes(row) and _found(row) is not None]
        reference = next((row for row in group if row.retriever in against_whom), None)
        if reference is not None and reference.records and any(row.retriever in held for row in fine):
            ahead = partial(_ahead, reference, held)
            yield Task(reference, held, sorted(fine, key=ahead, reverse=True))


def _ahead(reference: Row, held: Mapping[str, Line], row: Row) -> float:
    """By how much it found more than the reference, on the queries that both answered."""
    if row.retriever in held:
        return held[row.retriever].pair.difference.value
    return 0.0 if row is reference else (_found(row) or 0.0) - (_found(reference) or 0.0)


def _found(row: Row) -> float | None:
    return row.metrics["hit@1"]["value"] if "hit@1" in row.metrics else None


def _where(task: Task) -> str:
    """`soundscapes/test/text-audio (generated data, 1,000 candidates)`."""
    data = task.reference.records[0]["data"]
    if data is None:
        return task.reference.task
    kind = "generated data" if data["generated"] else "recorded data"
    folds = f", in each of {task.reference.folds} folds" if task.reference.folds else ""
    return f"{task.reference.task} ({kind}, {data['items']:,} candidates{folds})"


def _of(task: Task) -> Iterator[str]:
    """The best contestant first, then the best of each paradigm but the reference's."""
    reference = task.reference
    if near_chance(reference):
        yield f"{reference.retriever}, with which the others are compared, is not certainly better than a random order."
        return
    best = next((row for row in task.rows if not near_chance(row)), reference)
    if best is reference:
        yield f"nobody found the right {task.thing} first more often than {reference.retriever} did{_share(reference)}."
    told = {best.retriever, reference.retriever}
    if best is not reference:
        yield _sentence(task, best)
    paradigms = {best.paradigm, reference.paradigm}
    for row in task.rows:
        if row.retriever not in told and row.paradigm not in paradigms:
            paradigms.add(row.paradigm)
            yield _sentence(task, row)


def _share(row: Row) -> str:
    metric = row.metrics.get("hit@1")
    if metric is None or metric["value"] is None:
        return ""
    told = f", {100 * metric['value']:.1f} % of the time"
    known = metric["low"] is not None and metric["high"] is not None
    return told + (f" (95 %: {100 * metric['low']:.1f} to {100 * metric['high']:.1f})" if known else "")  # type: ignore[operator]


def _sentence(task: Task, row: Row) -> str:
    if near_chance(row):
        return f"{row.retriever}, the best {row.paradigm} contestant, is not certainly better than a random order."
    if row.retriever not in task.lines:
        return f"{row.retriever} and {task.reference.retriever} share no query by which to compare them."
    parts = [_quality(task, row), *filter(None, [_speed(row, task.reference), _bytes(row, task.reference)])]
    joined = f"{', '.join(parts[:-1])}, and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"{joined}."


def _quality(task: Task, row: Row) -> str:
    """In points, or that no difference is significant; of the queries that both answered."""
    line = task.lines[row.retriever]
    value, low, high, _ = line.pair.difference
    name, other = row.retriever, task.reference.retriever
    shared = f" on the {line.pair.queries:,} queries that both answered" if _fewer(task, line) else ""
    if not np.isfinite(low):
        return f"how much more or less {name} found than {other} can't be told from one item{shared}"
    if line.p >= LEVEL:
        return (
            f"{name} and {other} found the right {task.thing} first about as often{shared}: a difference of "
            f"{100 * value:+.1f} points (95 %: {100 * low:+.1f} to {100 * high:+.1f}) is not significant"
        )
    ends = sorted((100 * abs(low), 100 * abs(high)))
    word = "more" if value > 0 else "less"
    return (
        f"{name} found the right {task.thing} first {100 * abs(value):.1f} points {word} often than {other}{shared} "
        f"(95 %: {ends[0]:.1f} to {ends[1]:.1f})"
    )


def _fewer(task: Task, line: Line) -> bool:
    data = {record["task"]: record["data"] for record in task.reference.records}
    return line.pair.queries < sum(each["queries"] for each in data.values() if each is not None)


def _speed(row: Row, other: Row) -> str:
    """Nothing where the rates are of two sessions, or not to be trusted."""
    invalid = [each.invalid for one in (row, other) for each in doubts(one).values()]
    timed = all(each["speed"] and "offline" in each["speed"] for one in (row, other) for each in one.records)
    if any(invalid) or not timed or len({*row.sessions, *other.sessions}) != 1:
        return ""
    logs = log_ratios(rounds_of(other), rounds_of(row))
    ratio, (low, high) = np.exp(logs[0]), np.exp(interval(logs))
    if low <= 1 <= high:
        return "answered about as many queries a second"
    return f"answered {quantity(float(ratio))} times as many queries a second ({quantity(low)} to {quantity(high)})"


def _bytes(row: Row, other: Row) -> str:
    mine, theirs = (_held(each) for each in (row, other))
    if mine is None or theirs is None:
        return ""
    if size(mine) == size(theirs):
        return f"its index takes {size(mine)}, as the other's does"
    return f"its index takes {size(mine)} where the other takes {size(theirs)}"


def _held(row: Row) -> float | None:
    growing, constant = row.mean("cost", "index_bytes"), row.mean("cost", "constant_bytes")
    return None if growing is None else growing + (constant or 0.0)

"""From rows to what plots draw: numbers with their ends, in per cent, and points that lie on each other as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.report.columns import rate
from harness.report.words import percent, quantity
from harness.results.rows import Row, by_task, doubts
from harness.score.scoring import blind


class Span(NamedTuple):
    """A number and the ends of its interval, or its quartiles."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """One contestant, or several that lie on each other: the first tells how it looks."""

    x: Span
    y: Span
    paradigm: str
    asked: int | None
    names: tuple[str, ...]
    words: str  # shown where the pointer rests on it

    @property
    def label(self) -> str:
        from harness.report.style import shortened

        name = shortened(self.names[0]) + (f" +{len(self.names) - 1}" if len(self.names) > 1 else "")
        return name if self.asked is None else f"{name} (of {self.asked:,})"


def contestants(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """By task, those that see the content and were measured."""
    fine = [row for row in rows if row.status == "ok" and row.records and not blind(row.records[0])]
    return by_task([row for row in fine if found(row)])


def found(row: Row, name: str = "hit@1") -> Span | None:
    """A metric in per cent; without an interval, its ends are the value itself."""
    metric = row.metrics.get(name)
    if metric is None or metric["value"] is None:
        return None
    ends = [metric["value"] if each is None else each for each in (metric["low"], metric["high"])]
    return Span(100 * metric["value"], 100 * min(metric["value"], ends[0]), 100 * max(metric["value"], ends[1]))


def speed(row: Row) -> Span | None:
    """Queries per second and their quartiles."""
    value, low, high = (row.mean("speed", "offline", "qps", name) for name in ("median", "q25", "q75"))
    if not value:
        return None
    return Span(value, min(value, low or value), max(value, high or value))


def named(row: Row) -> str:
    return f"{row.retriever} ({row.paradigm})"


def told(row: Row) -> str:
    """What a point says of itself: who, what is found, how fast."""
    asked = "" if row.asked is None else f" (of {row.asked:,} queries)"
    words = [f"hit@1 {percent(row.metrics.get('hit@1'))}{asked}"]
    if speed(row):
        words.append(f"{rate(row)} queries/s")
    wrong = [kind for kind, each in doubts(row).items() if each.invalid]
    return f"{named(row)}: {', '.join(words)}" + (f"; INVALID: {', '.join(wrong)}" if wrong else "")


def point(row: Row, x: Span, words: str = "") -> Point:
    y = found(row)
    assert y is not None
    return Point(x, y, row.paradigm, row.asked, (row.retriever,), words or told(row))


def merged(points: Sequence[Point]) -> list[Point]:
    """Contestants of a paradigm that found the same, as finely as it is told, as one where their ranges overlap."""
    heads: list[Point] = []
    for each in points:
        place = next((number for number, head in enumerate(heads) if _alike(head, each)), None)
        if place is None:
            heads.append(each)
        else:
            head = heads[place]
            words = f"{head.words}\n{each.words}"
            heads[place] = Point(head.x, head.y, head.paradigm, head.asked, head.names + each.names, words)
    return heads


def _alike(head: Point, other: Point) -> bool:
    same = (head.paradigm, head.asked) == (other.paradigm, other.asked)
    close = all(abs(one - two) < 0.05 for one, two in zip(head.y, other.y, strict=True))
    return same and close and head.x.low <= other.x.high and other.x.low <= head.x.high


def data_of(rows: Sequence[Row]) -> Any:
    return rows[0].records[0]["data"]


def best_first(rows: Sequence[Row]) -> list[Row]:
    """By hit@1; in the order of the records where two found as much."""
    return sorted(rows, key=lambda row: -(row.metrics["hit@1"]["value"] or 0.0))


def briefly(groups: dict[str, list[Row]], said: Any, most: int = 3) -> str:
    """A sentence a task for those who see no picture; of many tasks, the first."""
    sentences = [f"{task}: {said(group)}." for task, group in list(groups.items())[:most]]
    return " ".join([*sentences, *([f"Tasks besides: {len(groups) - most}."] if len(groups) > most else [])])


def fastest(group: Sequence[Row]) -> Row:
    return max(group, key=lambda row: (speed(row) or Span(0.0, 0.0, 0.0)).value)


def rate_words(row: Row) -> str:
    rate_of = speed(row)
    return f"{quantity(rate_of.value)} queries/s" if rate_of else "no rate"

"""The columns of a task's main table: what stands in each cell, and which number of it competes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from harness.report import validity
from harness.report.notes import notes
from harness.report.words import percent, quantity, size
from harness.results.rows import Row, inside, search_only
from harness.store.record import Metric, Record


class Spread(NamedTuple):
    """A number, and its bracket where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Column:
    name: str
    text: Callable[[Row], str]
    words: bool = False  # not numbers
    number: Callable[[Row], Spread | None] | None = None  # None: nobody competes in it
    less: bool = False  # the smaller number wins
    timed: bool = False  # who is INVALID doesn't compete


def columns(ks: Sequence[int], group: Sequence[Row] = (), session: str | None = None) -> list[Column]:
    """Of a task's table; with a column for each age of the candidates where they were not all indexed at once.

    Where queries have several positives, finding one of them (hit) and finding all of them (recall) are two things.
    """
    shared = validity.common(group)
    aged = [f"{age}hit@{k}" for k in ks for age in AGES]
    return [
        Column("retriever", lambda row: row.retriever, words=True),
        Column("paradigm", lambda row: row.paradigm, words=True),
        *[metric_column(f"hit@{k}") for k in ks],
        *[metric_column(f"recall@{k}") for k in ks if several_right(group)],
        *[metric_column(name) for name in aged if any(name in row.metrics for row in group)],
        metric_column("mrr@10"),
        Column("queries/s", rate, number=_rate, timed=True),
        Column("search only/s", lambda row: quantity(search_only(row)), number=_search_only, timed=True),
        _number("p50 ms", "speed", "single", "p50_ms", timed=True),
        _number("p95 ms", "speed", "single", "p95_ms", timed=True),
        *[_batch(size) for size in batch_sizes(group)],
        *[latency(load) for load in loads(group)],
        *within_bound(group),
        _number("fit s", "cost", "fit_s"),
        _number("index s", "cost", "index_s"),
        *[_number("add s", "cost", "add_s")] * any(row.mean("cost", "add_s") is not None for row in group),
        Column("index", index_size, number=_held, less=True),
        *[Column(f"{where} memory", partial(memory, where=where)) for where in memories(group)],
        Column("note", lambda row: notes(row, session, shared), words=True),
    ]


def cells(row: Row, columns: Sequence[Column]) -> dict[str, str]:
    """One row as text."""
    if row.status == "ok":
        return {column.name: column.text(row) for column in columns}
    known = {"retriever": row.retriever, "paradigm": row.paradigm, "note": f"{row.status}: {row.reason}"}
    return {column.name: known.get(column.name, "") for column in columns}


def several_right(group: Sequence[Row]) -> bool:
    return any(each["data"] and each["data"].get("positives") for row in group for each in row.records)


def metric_column(name: str) -> Column:
    heading = name.upper() if name.startswith("mrr") else name
    return Column(f"{heading} %", lambda row: _share(row, row.metrics.get(name)), number=partial(_metric, name=name))


def _share(row: Row, metric: Metric | None) -> str:
    """A metric in per cent, marked where it is of fewer than all queries."""
    found = percent(metric)
    return found if row.asked is None or found == "–" else f"{found} (of {row.asked:,})"


def _metric(row: Row, name: str) -> Spread | None:
    metric: Any = row.metrics.get(name)
    return None if not metric or metric["value"] is None else Spread(metric["value"], metric["low"], metric["high"])


def spread_of(row: Row, path: Sequence[str]) -> Spread | None:
    value = row.mean(*path)
    return None if value is None else Spread(value)


def _number(name: str, *path: str, timed: bool = False) -> Column:
    return Column(name, lambda row: quantity(row.mean(*path)), False, partial(spread_of, path=path), True, timed)


def _batch(size: str) -> Column:
    path = ("speed", "batch", size, "qps", "median")
    number = partial(spread_of, path=path)
    return Column(f"queries/s by {size}", lambda row: quantity(row.mean(*path)), number=number, timed=True)


def _rate(row: Row) -> Spread | None:
    median, low, high = (row.mean("speed", "offline", "qps", name) for name in ("median", "q25", "q75"))
    return None if median is None else Spread(median, low, high)


def rate(row: Row) -> str:
    """The median rate and its quartiles."""
    found = _rate(row)
    return "–" if found is None else f"{quantity(found.value)} [{quantity(found.low)}–{quantity(found.high)}]"


def _search_only(row: Row) -> Spread | None:
    found = search_only(row)
    return None if found is None else Spread(found)


def _held(row: Row) -> Spread | None:
    growing = row.mean("cost", "index_bytes")
    return None if growing is None else Spread(growing + (row.mean("cost", "constant_bytes") or 0.0))


def index_size(row: Row) -> str:
    """Bytes that grow with the gallery, and those that don't where they matter."""
    growing, constant = row.mean("cost", "index_bytes"), row.mean("cost", "constant_bytes") or 0.0
    return size(growing) + (f" + {size(constant)}" if constant > 0.01 * (growing or 0.0) else "")


def memories(group: Sequence[Row]) -> list[str]:
    """Where memory was measured: host, device."""
    keys = {key for row in group for each in row.records for key in inside(each, ("speed", "memory")) or ()}
    return [where for where in ("host", "device") if f"{where}_loaded_mb" in keys]


def memory(row: Row, where: str) -> str:
    """What loading took, and the most at a time while searching, beyond what the process had before."""
    names = [f"{where}_{state}_mb" for state in ("before", "loaded", "peak")]
    before, *held = (row.mean("speed", "memory", name) for name in names)
    return ", ".join("–" if each is None or before is None else size(2**20 * (each - before)) for each in held)


AGES = ("old ", "added ")  # candidates indexed from the start, and those that came later


def batch_sizes(group: Sequence[Row]) -> list[str]:
    return sorted(
        {size for row in group for each in row.records for size in inside(each, ("speed", "batch")) or ()}, key=int
    )


class Load(NamedTuple):
    """What arrived at a contestant in `server`: a share of its own offline rate, or so many queries a second."""

    key: str  # share, rate
    value: float

    @property
    def words(self) -> str:
        return f"{100 * self.value:g} % load" if self.key == "share" else f"{quantity(self.value)}/s"


def loads(group: Sequence[Row]) -> list[Load]:
    """Those that the suite asked for; rates tried in search of the bound are in the records."""
    found = {load: None for row in group for each in row.records for load in _loads(each)}
    return sorted(found)


def _loads(record: Record) -> dict[Load, dict[str, Any]]:
    tried = inside(record, ("speed", "server", "rates")) or []
    return {
        Load("share", each["share"]) if "share" in each else Load("rate", each["rate"]): each
        for each in tried
        if not each.get("sought")
    }


def latency(load: Load) -> Column:
    """p99; overloaded where queries came faster than they were answered."""

    def text(row: Row) -> str:
        found = [_loads(each).get(load) for each in row.records]
        if not found or any(each is None for each in found):
            return "–"
        if any(each["overloaded"] for each in found if each):
            return "overloaded"
        return quantity(sum(each["p99_ms"] for each in found if each) / len(found))

    return Column(f"p99 ms at {load.words}", text)


def within_bound(group: Sequence[Row]) -> list[Column]:
    """Where a bound of the latency was set: the highest rate within it."""
    path = ("speed", "server", "within_bound")
    bounds = (inside(each, ("speed", "server", "bound_ms")) for row in group for each in row.records)
    if all(each is None for each in bounds):
        return []
    number = partial(spread_of, path=path)
    return [Column("queries/s in bound", lambda row: quantity(row.mean(*path)), number=number, timed=True)]

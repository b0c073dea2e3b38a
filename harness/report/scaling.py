"""How the rate of a search falls as the gallery grows, where it was asked in several sizes, and who overtakes whom.

Two retrievers are compared within one contest, round by round; between the sizes that were measured their ratio is
taken to follow a power of the size, and the rounds are resampled to see how sure that is. At each size both must have
been timed in one session; from size to size sessions may differ, but not the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, dropwhile, takewhile
from typing import Any, NamedTuple

import numpy as np

from harness.machine.escaping import row as table_row
from harness.report.notes import not_compared
from harness.report.validity import comparable
from harness.report.words import quantity, size
from harness.results.rows import Row, rounds_of, search_only
from harness.score.rates import interval, log_ratios
from harness.score.scoring import blind

MARK = "/gallery="
LIKELY = 0.8  # a crossover that fewer resamplings have is none
FOOT = (
    "Queries a second, query in to ids out (`offline`), the median of the rounds and their quartiles. Sizes hold each "
    "other: the right answers, and then more candidates of the same kind. ≈: not measured but extrapolated from the "
    "largest size that was, for a retriever that counts a pair for every query and candidate and so costs in "
    "proportion to their number. Brackets in sentences: 95 % interval, rounds resampled. Rates compare within a "
    "column, where those of one session took turns; along a row they come from contests one after the other. Sentences "
    "are of valid rates alone: of one session at each size, and from size to size of one machine with as many threads; "
    "how a rate falls is told within one session."
)
MACHINE = ("machine", "processor", "device", "threads")  # of the environment


class Rate(NamedTuple):
    """Queries a second at one size."""

    value: float
    low: float  # quartiles of the rounds
    high: float
    rounds: np.ndarray  # float64 [rounds]; empty where it is extrapolated

    @property
    def measured(self) -> bool:
        return bool(len(self.rounds))

    @property
    def words(self) -> str:
        if not self.measured:
            return f"≈ {quantity(self.value)}"
        return f"{quantity(self.value)} [{quantity(self.low)}–{quantity(self.high)}]"


@dataclass(frozen=True)
class Series:
    """One retriever at a task asked in galleries of several sizes."""

    task: str
    retriever: str
    paradigm: str
    rates: dict[int, Rate]  # by the number of candidates, ascending
    rows: dict[int, Row]  # those that were measured


@dataclass(frozen=True)
class Crossover:
    """Between which sizes the second overtakes the first, as candidates grow; `sure`: the share of resamplings."""

    first: str
    second: str
    at: float
    low: float
    high: float
    sure: float

    @property
    def words(self) -> str:
        ends = f"[{_about(self.low)}, {_about(self.high)}]"
        doubt = "" if self.sure > 0.975 else f"; in {100 * (1 - self.sure):.0f} % of resamplings not at all"
        return f"{self.second} overtakes {self.first} at {_about(self.at)} candidates {ends}{doubt}"


def series(rows: Sequence[Row]) -> dict[str, list[Series]]:
    """By task, where more than one size of its gallery was measured; contestants alone."""
    found: dict[str, dict[str, dict[int, Row]]] = {}
    for row in rows:
        task, mark, _ = row.task.partition(MARK)
        data: Any = row.records[0]["data"] if row.records else None
        if mark and data and not blind(row.records[0]) and row.mean("speed", "offline", "qps", "median"):
            found.setdefault(task, {}).setdefault(row.retriever, {})[data["items"]] = row
    return {
        task: [_series(task, each, sizes) for each in named.values()]
        for task, named in found.items()
        if len(sizes := sorted({size for each in named.values() for size in each})) > 1
    }


def _series(task: str, rows: dict[int, Row], sizes: Sequence[int]) -> Series:
    rows = dict(sorted(rows.items()))
    rates = {count: _rate(row) for count, row in rows.items()}
    largest = max(rows)
    if _scores_every_pair(rows[largest], largest):
        for count in (each for each in sizes if each > largest):
            value, low, high = (each * largest / count for each in rates[largest][:3])
            rates[count] = Rate(value, low, high, np.empty(0))
    last = rows[largest]
    return Series(task, last.retriever, last.paradigm, rates, rows)


def _rate(row: Row) -> Rate:
    rounds = rounds_of(row)
    low, value, high = np.percentile(rounds, [25, 50, 75])
    return Rate(float(value), float(low), float(high), rounds)


def _scores_every_pair(row: Row, count: int) -> bool:
    """Whether its own counts say so."""
    pairs, queries = row.mean("counts", "pairs"), _asked(row)
    return bool(pairs and queries and round(pairs / queries) == count)


def _asked(row: Row) -> float | None:
    """How many queries its counts are of; None where that isn't known."""
    found = [_counted(each["speed"]["offline"]) for each in row.records if each["speed"]]
    known = [each for each in found if each is not None]
    return float(np.mean(known)) if known and len(known) == len(found) else None


def _counted(offline: Any) -> int | None:
    """Older records don't say it: there it is known of a single process, whose rounds are all that there are."""
    if "counted" in offline or "processes" in offline:
        return offline.get("counted")
    return len(offline["qps"]["rounds"]) * offline["round_queries"]


# -- what compares -----------------------------------------------------------------------------------------------------


def compared(one: Series, other: Series) -> list[int]:
    """The sizes at which the rates of both compare, as far as one machine timed them; ascending."""
    sizes = [each for each in one.rows if each in other.rows and comparable(one.rows[each], other.rows[each])]
    return _most(sizes, lambda each: _machine(one.rows[each]))


def _most(sizes: Sequence[int], key: Callable[[int], Any]) -> list[int]:
    """Those that share a key with the most others; of as many, the larger ones."""
    groups: dict[Any, list[int]] = {}
    for each in sizes:
        groups.setdefault(key(each), []).append(each)
    return max(groups.values(), key=lambda group: (len(group), group[-1]), default=[])


def _machine(row: Row) -> tuple[Any, ...]:
    return tuple(row.records[0]["environment"].get(name) for name in MACHINE)


def left_out(group: Sequence[Series]) -> Iterator[str]:
    """Below the tables: which rates are not compared, and why."""
    reasons: dict[str, list[str]] = {}
    for count in _sizes(group):
        for reason in not_compared([each.rows[count] for each in group if count in each.rows]):
            reasons.setdefault(reason, []).append(f"{count:,}")
    yield from (f"with {', '.join(counts)} candidates {reason}" for reason, counts in reasons.items())
    if any(len({row.sessions for row in each.rows.values()}) > 1 for each in group):
        yield "not all sizes were timed in one session: how a rate falls is told of sizes of the same one"
    if len({_machine(row) for each in group for row in each.rows.values()}) > 1:
        yield (
            "not all sizes were timed on one machine with as many threads: who is faster is told of those that were "
            "timed alike"
        )


def _sizes(group: Sequence[Series]) -> list[int]:
    return sorted({count for each in group for count in each.rates})


# -- who overtakes whom ------------------------------------------------------------------------------------------------


def crossovers(first: Series, second: Series) -> Iterator[Crossover]:
    """Where the second overtakes the first, or the other way round, at sizes at which their rates compare."""
    sizes = compared(first, second)
    if len(sizes) < 2:
        return
    logs = np.stack([log_ratios(first.rates[each].rounds, second.rates[each].rounds) for each in sizes])
    before, after, size = logs[:-1], logs[1:], np.log(sizes)[:, None]
    crosses = before * after < 0  # [steps from size to size, measured and resampled]
    share = before / np.where(crosses, before - after, 1.0)
    at = np.exp(size[:-1] + share * (size[1:] - size[:-1]))
    for step in np.flatnonzero(crosses[:, 0]).tolist():
        alike = crosses & (np.sign(before) == np.sign(before[step, 0]))  # in the same direction, wherever
        nearest = np.where(alike, np.abs(np.arange(len(alike)) - step)[:, None], len(alike)).argmin(axis=0)
        found = np.take_along_axis(at, nearest[None], 0)[0][alike.any(axis=0)]
        names = (first.retriever, second.retriever) if before[step, 0] < 0 else (second.retriever, first.retriever)
        yield Crossover(*names, float(at[step, 0]), *interval(found), float(alike.any(axis=0).mean()))


def last_crossover(first: Series, second: Series) -> Crossover | None:
    """The one that is told. Those that are as fast as each other cross several times by chance: the last counts."""
    last = list(crossovers(first, second))[-1:]
    return last[0] if last and last[0].sure > LIKELY else None


def sentences(group: Sequence[Series]) -> list[str]:
    """Above the table: what grows and what doesn't, who overtakes whom, and what generation never overtakes."""
    found = [text for each in group for text in _growth(each)]
    for one, other in combinations(group, 2):
        crossing = last_crossover(one, other)
        found += [crossing.words] if crossing else []
        shared = compared(one, other)
        if not crossing and shared and {one.paradigm, other.paradigm} > {"generative"}:
            found.append(_never(one, other, shared))
    return found


def _growth(each: Series) -> Iterator[str]:
    sizes = _most([size for size, row in each.rows.items() if comparable(row)], lambda size: each.rows[size].sessions)
    if len(sizes) < 2:
        return
    least, most = sizes[0], sizes[-1]
    logs = log_ratios(each.rates[least].rounds, each.rates[most].rounds, together=False)
    many = f"{times(logs)} times as many queries a second"
    yield f"{each.retriever} answers {many} with {most:,} candidates as with {least:,}"


def _never(one: Series, other: Series, sizes: Sequence[int]) -> str:
    """The faster one first, with the last sizes in a row at which that is certain."""
    side = {each: _side(log_ratios(other.rates[each].rounds, one.rates[each].rounds)) for each in sizes}
    measured = [each for each in one.rows if each in other.rows]
    certain = list(dropwhile(lambda each: not side[each], reversed(sizes)))
    if not certain:
        return f"neither {one.retriever} nor {other.retriever} is certainly faster {_span(sizes, measured)}"
    told = list(takewhile(lambda each: side[each] == side[certain[0]], certain))[::-1]
    if side[told[-1]] < 0:
        one, other = other, one
    logs = log_ratios(other.rates[told[-1]].rounds, one.rates[told[-1]].rounds)
    end = "at the end " if len(told) > 1 else ""
    beyond = f"; with {sizes[-1]:,} neither is certainly faster" if told[-1] < sizes[-1] else ""
    return f"{one.retriever} is faster than {other.retriever} {_span(told, measured)}, {end}{times(logs)} times{beyond}"


def _side(logs: np.ndarray) -> int:
    """The sign of all of a ratio's interval; 0 where that has both."""
    low, high = interval(logs[1:])
    return int(low > 0) - int(high < 0)


def _span(sizes: Sequence[int], measured: Sequence[int]) -> str:
    """From the first to the last of them, unless another that was measured lies between them."""
    if len(sizes) > 1 and sum(sizes[0] <= each <= sizes[-1] for each in measured) == len(sizes):
        return f"from {sizes[0]:,} to {sizes[-1]:,} candidates"
    return f"with {', '.join(f'{each:,}' for each in sizes)} candidates"


def times(logs: np.ndarray) -> str:
    """A ratio and its interval."""
    value, low, high = (float(np.exp(each)) for each in (logs[0], *interval(logs[1:])))
    return f"{quantity(value)} [{quantity(low)}, {quantity(high)}]"


def _about(count: float) -> str:
    """Two significant digits: more would say more than is known."""
    digits = int(np.floor(np.log10(max(1.0, count)))) - 1
    return f"{round(count, -max(0, digits)):,.0f}"


# -- forms -------------------------------------------------------------------------------------------------------------


def markdown(found: dict[str, list[Series]]) -> str:
    lines = ["# Rates by the size of the gallery", ""]
    for task, group in found.items():
        sizes = _sizes(group)
        lines += [f"## {task}", "", *(f"- {each}." for each in sentences(group)), ""]
        for title, cell in CELLS.items():
            lines += [f"**{title}**", "", table_row(["retriever", "paradigm", *(f"{count:,}" for count in sizes)])]
            lines.append("|" + "---|" * (2 + len(sizes)))
            for each in group:
                shown = [cell(each, count) if count in each.rates else "–" for count in sizes]
                lines.append(table_row([each.retriever, each.paradigm, *shown]))
            lines.append("")
        if said := [f"- {each}." for each in left_out(group)]:
            lines += ["Not compared:", "", *said, ""]
    return "\n".join([*lines, FOOT, ""])


def _of_row(text: Any) -> Any:
    return lambda each, count: text(each.rows[count]) if count in each.rows else "–"


def _counts(row: Row) -> str:
    """A query's share of each count."""
    asked = _asked(row)
    names = dict.fromkeys(name for each in row.records for name in each["counts"])
    each = {name: row.mean("counts", name) for name in names}
    return ", ".join(f"{quantity(value / asked)} {name}" for name, value in each.items() if value and asked) or "–"


CELLS = {
    "queries/s": lambda each, count: each.rates[count].words,
    "search only/s, without encoding the query": _of_row(lambda row: quantity(search_only(row))),
    "operations a query": _of_row(_counts),
    "index": _of_row(lambda row: size(row.mean("cost", "index_bytes"))),
    "index s": _of_row(lambda row: quantity(row.mean("cost", "index_s"))),
}

"""How the rate of a search falls as the gallery grows, where it was asked in several sizes, and who overtakes whom.

Two retrievers are compared within one contest, round by round; between the sizes that were measured their ratio is
taken to follow a power of the size, and the rounds are resampled to see how sure that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from harness.machine.escaping import row as table_row
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
    "column, whose contest took turns; along a row they come from contests one after the other."
)


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


# -- who overtakes whom ------------------------------------------------------------------------------------------------


def crossovers(first: Series, second: Series) -> Iterator[Crossover]:
    """Where the second overtakes the first, or the other way round, at sizes at which both were measured."""
    sizes = [each for each in first.rates if each in second.rates and first.rates[each].measured]
    sizes = [each for each in sizes if second.rates[each].measured]
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
    found = [_growth(each) for each in group if len(each.rows) > 1]
    for one, other in combinations(group, 2):
        crossing = last_crossover(one, other)
        found += [crossing.words] if crossing else []
        shared = [size for size in one.rows if size in other.rows]
        if not crossing and shared and {one.paradigm, other.paradigm} > {"generative"}:
            found.append(_never(one, other, shared))
    return found


def _growth(each: Series) -> str:
    least, most = min(each.rows), max(each.rows)
    logs = log_ratios(each.rates[least].rounds, each.rates[most].rounds, together=False)
    many = f"{times(logs)} times as many queries a second"
    return f"{each.retriever} answers {many} with {most:,} candidates as with {least:,}"


def _never(one: Series, other: Series, shared: Sequence[int]) -> str:
    """The faster one first."""
    most = max(shared)
    if other.rates[most].value > one.rates[most].value:
        one, other = other, one
    logs = log_ratios(other.rates[most].rounds, one.rates[most].rounds)
    ends = f"from {min(shared):,} to {most:,}" if len(shared) > 1 else f"with {most:,}"
    return f"{one.retriever} is faster than {other.retriever} {ends} candidates, at the end {times(logs)} times"


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
        sizes = sorted({count for each in group for count in each.rates})
        lines += [f"## {task}", "", *(f"- {each}." for each in sentences(group)), ""]
        for title, cell in CELLS.items():
            lines += [f"**{title}**", "", table_row(["retriever", "paradigm", *(f"{count:,}" for count in sizes)])]
            lines.append("|" + "---|" * (2 + len(sizes)))
            for each in group:
                shown = [cell(each, count) if count in each.rates else "–" for count in sizes]
                lines.append(table_row([each.retriever, each.paradigm, *shown]))
            lines.append("")
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

"""At equal recall: the fastest setting of each contestant that finds as large a share of what exact search finds.

The setting is chosen on the queries of one half of the items, and what it finds is reported of the other half. Queries
of the validation split wouldn't do: their right answers are not in the gallery, and a retriever that learns its gallery
would have to learn another one for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.machine.escaping import row as table_row
from harness.report.notes import not_compared
from harness.report.paired import METRIC, Hits, Right, hits
from harness.report.scaling import times
from harness.report.validity import comparable
from harness.report.words import quantity
from harness.results.rows import Row, by_task, rounds_of
from harness.score import statistics
from harness.score.rates import log_ratios
from harness.score.scoring import blind
from harness.store.run_folder import RunFolder

TARGETS = (0.90, 0.95, 0.99)  # shares of exact search's hit@1
HEAD = (
    "contestant",
    "paradigm",
    "of exact",
    "fastest setting",
    "queries/s",
    "times exact search's",
    "found, other half",
)
FOOT = (
    "Of exact: the share of exact search's hit@1 that is asked for. The fastest setting that finds as much is chosen "
    "on the queries of half of the items; what it finds is of the other half, as a share of what exact search finds "
    "there, with its 95 % interval, clustered by item. Rates: medians of rounds taken in turns, and their ratio, "
    "rounds resampled. A contestant with one setting stands where that is enough. –: none of its settings is. Settings "
    "are chosen among those that were timed in one session with exact search, where the rates of both are valid."
)


@dataclass(frozen=True)
class Setting:
    """One variant of a contestant beside exact search."""

    row: Row
    seen: float  # its share of exact search's hit@1 on the half that is chosen on
    other: statistics.Interval  # and on the other half
    logs: np.ndarray  # of its rate over exact search's; empty where these don't compare

    @property
    def compared(self) -> bool:
        return bool(len(self.logs))

    @property
    def name(self) -> str:
        return self.row.retriever.partition("@")[2].replace("@", ", ") or "as it is"


@dataclass(frozen=True)
class Family:
    """A contestant in all its settings, at a task."""

    task: str
    name: str
    paradigm: str
    settings: tuple[Setting, ...]
    exact: Row

    @property
    def compared(self) -> tuple[Setting, ...]:
        return tuple(each for each in self.settings if each.compared)

    def fastest(self, target: float) -> Setting | None:
        enough = [each for each in self.compared if each.seen >= target]
        return max(enough, key=lambda each: float(each.logs[0]), default=None)


def families(folder: RunFolder, rows: Sequence[Row]) -> dict[str, list[Family]]:
    """By task, where exact search took part and someone had settings to choose from."""
    found: dict[str, list[Family]] = {}
    for task, group in by_task(rows).items():
        fine = [each for each in group if each.status == "ok" and not each.folds and not blind(each.records[0])]
        fine = [each for each in fine if each.mean("speed", "offline", "qps", "median")]
        exact = next((each for each in fine if _exact(each)), None)
        if exact is None or not any("@" in each.retriever for each in fine):
            continue
        right = Right.read(folder, task)
        wanted = hits(folder, exact, right)
        named: dict[str, list[Setting]] = {}
        for each in (each for each in fine if each is not exact):
            shares = _shares(hits(folder, each, right), wanted, right.cluster)
            if shares:
                alike = comparable(exact, each)
                logs = log_ratios(rounds_of(exact), rounds_of(each)) if alike else np.empty(0)
                named.setdefault(each.retriever.partition("@")[0], []).append(Setting(each, *shares, logs))
        found[task] = [
            Family(task, name, settings[0].row.paradigm, tuple(settings), exact) for name, settings in named.items()
        ]
    return {task: members for task, members in found.items() if members}


def _exact(row: Row) -> bool:
    config: Any = row.records[0]["config"]["retriever"]
    return config.get("kind") == "dual_tower" and config.get("index") == "exact"


def _shares(mine: Hits, exact: Hits, cluster: np.ndarray) -> tuple[float, statistics.Interval] | None:
    """On the items that are chosen on and on the others; None where they share too few queries to tell."""
    both = mine.beside(exact)
    if both is None:
        return None
    items = cluster[both.asked]
    other = np.random.default_rng(0).permutation(int(cluster.max()) + 1)[items] % 2 == 1
    one, all_of_it = both.pair(METRIC)
    if not all_of_it[:, other].any() or not all_of_it[:, ~other].any():
        return None
    seen = float(one[:, ~other].mean() / all_of_it[:, ~other].mean())
    return seen, statistics.ratio_interval(one[:, other], all_of_it[:, other], items[other])


def markdown(found: dict[str, list[Family]]) -> str:
    lines = ["# At equal recall", ""]
    for task, members in found.items():
        lines += [f"## {task}", "", table_row(list(HEAD)), "|" + "---|" * len(HEAD)]
        lines += [table_row(cells) for each in members for cells in _lines(each)]
        lines.append("")
        if said := [f"- {each}." for each in _left_out(members)]:
            lines += [*said, ""]
    return "\n".join([*lines, FOOT, ""])


def _left_out(members: Sequence[Family]) -> list[str]:
    """Below the table: whose rates are not compared with exact search's, and why."""
    rows = [each.row for family in members for each in family.settings]
    apart = [each.row.retriever for family in members for each in family.settings if not each.compared]
    if not apart:
        return []
    who = ", ".join(apart) if len(apart) < len(rows) else "all"
    return [f"not compared with exact search: {who}", *not_compared([members[0].exact, *rows])]


def _lines(family: Family) -> Iterator[list[str]]:
    for target in TARGETS:
        head = [family.name, family.paradigm, f"{100 * target:g} %"]
        best = family.fastest(target)
        if best is None:
            most = max(each.seen for each in family.settings)
            poor = f"at most {100 * most:.1f} % where chosen"
            yield [*head, "–", "", "", poor if most < target else "not compared"]
            continue
        value, low, high = (100 * each for each in best.other)
        found = f"{value:.1f} % [{low:.1f}, {high:.1f}]"
        rate = quantity(best.row.mean("speed", "offline", "qps", "median"))
        yield [*head, best.name, rate, times(best.logs), found]

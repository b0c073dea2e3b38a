"""From a run's records to rows, one for each retriever at each task: what frames, tables and plots are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.contract.dataset import Links
from harness.contract.problems import last_line
from harness.score.scoring import blind, score
from harness.score.validity import Problem, gravest, problems
from harness.store.record import Metric, Record
from harness.store.run_folder import RunFolder, cell_name


@dataclass(frozen=True)
class Row:
    """One retriever at one task, all its seeds together."""

    task: str
    retriever: str
    paradigm: str
    status: str
    reason: str
    seeds: tuple[int, ...]
    sessions: tuple[str, ...]
    metrics: dict[str, Metric]
    records: tuple[Record, ...]
    folds: int = 0  # it is the mean of so many tasks; 0: it is of one
    asked: int | None = None  # its metrics are of so many queries; None: of all
    run: str = ""  # where those of several runs stand side by side: whose it is

    def mean(self, *path: str) -> float | None:
        """The mean over seeds (and folds) of a number inside the record; None where a record has none."""
        found = [inside(each, path) for each in self.records]
        numbers = [float(number) for number in found if number is not None]
        return sum(numbers) / len(numbers) if numbers and len(numbers) == len(found) else None


def inside(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def rows(folder: RunFolder, records: Sequence[Record]) -> list[Row]:
    """In the order of the records; all seeds of a retriever are one row, its metrics over seeds and items."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for each in records:
        groups.setdefault((each["task"], each["retriever"]), []).append(each)
    return [_row(folder, name, retriever, members) for (name, retriever), members in groups.items()]


def _row(folder: RunFolder, task: str, retriever: str, members: list[Record]) -> Row:
    newest = max(members, key=lambda each: each["made"])
    members = [each for each in members if _alike(each, newest)]
    fine = [each for each in members if each["status"] == "ok"]
    worst = next((each for each in members if each["status"] != "ok"), members[0])
    metrics, asked = _metrics(folder, fine)
    return Row(
        task=task,
        retriever=retriever,
        paradigm=members[0]["paradigm"],
        status=worst["status"],
        reason=last_line(worst["reason"] or ""),
        seeds=tuple(each["seed"] for each in members),
        sessions=tuple(dict.fromkeys(each["speed"]["session"] for each in fine if each["speed"])),
        metrics=metrics,
        records=tuple(fine),
        asked=asked,
    )


def _alike(one: Record, newest: Record) -> bool:
    """Whether a record is of the newest one's settings, code and data, and isn't left over from earlier ones."""
    contents = [inside(each, ("data", "contents")) for each in (one, newest)]
    if one.get("family") != newest.get("family") or (contents[0] != contents[1] and all(contents)):
        return False
    depths = [{name for name in each["metrics"] if name.startswith("hit@")} for each in (one, newest)]
    return one["config"] == newest["config"] and (depths[0] == depths[1] or not all(depths))


def _metrics(folder: RunFolder, fine: list[Record]) -> tuple[dict[str, Metric], int | None]:
    """One seed: as recorded. Several: from their rankings, resampled over seeds and items where there are three.

    And the number of queries, where that isn't all of them.
    """
    sampled = [each["data"]["sampled_queries"] for each in fine if each["data"]]
    if len(fine) < 2:
        return (fine[0]["metrics"], sampled[0] if sampled else None) if fine else ({}, None)
    page = folder.read_task(fine[0]["task"])
    read = [folder.read_ranking(cell_name(each["task"], each["retriever"], each["seed"])) for each in fine]
    asked = read[0][2]
    if any(not np.array_equal(asked, other) for _, _, other in read):
        asked = np.array(sorted(set.intersection(*(set(query.tolist()) for _, _, query in read))), np.int64)
    if not len(asked):
        return {}, 0
    links = Links.listed(page["positives"])
    ids = np.stack([ids[np.searchsorted(query, asked)] for ids, _, query in read])
    ks = sorted(int(name.removeprefix("hit@")) for name in fine[0]["metrics"] if name.startswith("hit@"))
    cluster = np.array(page["cluster"])[asked]
    found = score(ids, links.take(asked), cluster, ks, len(page["candidates"]["names"]), page.get("added", 0))
    return found, len(asked) if any(sampled) else None


def rounds_of(row: Row) -> np.ndarray:
    """The rates of all rounds of all its seeds."""
    return np.concatenate([each["speed"]["offline"]["qps"]["rounds"] for each in row.records if each["speed"]])


def search_only(row: Row) -> float | None:
    """Queries a second without encoding them: of all other stages. None where it isn't known what encoding took."""
    names = dict.fromkeys(name for each in row.records for name in inside(each, ("speed", "offline", "stages")) or ())
    spent = [row.mean("speed", "offline", "stages", name) for name in names if name != "encode"]
    seconds = sum(each for each in spent if each is not None)
    return 1 / seconds if "encode" in names and seconds else None


def doubts(row: Row) -> dict[str, Problem]:
    """What can't be trusted in its rates: of each kind the worst one, over seeds and folds."""
    return gravest(each for record in row.records for each in problems(record))


def near_chance(row: Row) -> bool:
    """Whether a retriever, unless it sees nothing, is at no k certainly better than a random order."""
    data: Any = row.records[0]["data"] if row.records else None
    if not data or blind(row.records[0]):
        return False
    lows = [(inside(row.metrics, (name, "low")), chance) for name, chance in data["chance"].items() if chance < 1]
    return bool(lows) and all(low is not None and low <= chance for low, chance in lows)


def competes(row: Row) -> bool:
    """Whether it is a contestant with results, and no control."""
    return row.status == "ok" and bool(row.records) and row.paradigm != "control" and not blind(row.records[0])


def by_task(all_rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in all_rows:
        groups.setdefault(row.task, []).append(row)
    return groups

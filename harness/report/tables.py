"""From a run's folder to its main table: rows, then columns, as Markdown, CSV or on a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from harness.contract.dataset import Links
from harness.machine import escaping
from harness.report import validity
from harness.score.scoring import blind, score
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

    def mean(self, *path: str) -> float | None:
        """The mean over seeds (and folds) of a number inside the record; None where a record has none."""
        found = [_inside(each, path) for each in self.records]
        numbers = [float(number) for number in found if number is not None]
        return sum(numbers) / len(numbers) if numbers and len(numbers) == len(found) else None


def _inside(value: Any, path: Sequence[str]) -> Any:
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
        reason=((worst["reason"] or "").strip().splitlines() or [""])[-1],
        seeds=tuple(each["seed"] for each in members),
        sessions=tuple(dict.fromkeys(each["speed"]["session"] for each in fine if each["speed"])),
        metrics=metrics,
        records=tuple(fine),
        asked=asked,
    )


def _alike(one: Record, newest: Record) -> bool:
    """Whether a record has the settings of the newest one, and isn't left over from earlier ones."""
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


# -- cells ------------------------------------------------------------------------------------------------------------


def percent(metric: Metric | None) -> str:
    if metric is None or metric["value"] is None:
        return "–"
    value = 100 * metric["value"]
    if metric["low"] is None or metric["high"] is None:
        return f"{value:.1f}"
    return f"{value:.1f} [{100 * metric['low']:.1f}, {100 * metric['high']:.1f}]"


def _share(row: Row, metric: Metric | None) -> str:
    """A metric in per cent, marked where it is of fewer than all queries."""
    found = percent(metric)
    return found if row.asked is None or found == "–" else f"{found} (of {row.asked:,})"


def quantity(value: float | None) -> str:
    """Three significant digits or whole numbers, thousands grouped."""
    if value is None:
        return "–"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g}M"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def size(count: float | None) -> str:
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.3g} {unit}"
        count /= 1000
    return ""


def rate(row: Row) -> str:
    """The median rate and its quartiles."""
    median, low, high = (row.mean("speed", "offline", "qps", name) for name in ("median", "q25", "q75"))
    if median is None:
        return "–"
    return f"{quantity(median)} [{quantity(low)}–{quantity(high)}]"


def rounds_of(row: Row) -> np.ndarray:
    """The rates of all rounds of all its seeds."""
    return np.concatenate([each["speed"]["offline"]["qps"]["rounds"] for each in row.records if each["speed"]])


def search_only(row: Row) -> str:
    """The rate without encoding the query: of all other stages."""
    names = dict.fromkeys(name for each in row.records for name in _inside(each, ("speed", "offline", "stages")) or ())
    spent = [row.mean("speed", "offline", "stages", name) for name in names if name != "encode"]
    seconds = sum(each for each in spent if each is not None)
    return quantity(1 / seconds) if "encode" in names and seconds else "–"


def index_size(row: Row) -> str:
    """Bytes that grow with the gallery, and those that don't where they matter."""
    growing, constant = row.mean("cost", "index_bytes"), row.mean("cost", "constant_bytes") or 0.0
    return size(growing) + (f" + {size(constant)}" if constant > 0.01 * (growing or 0.0) else "")


def memories(group: Sequence[Row]) -> list[str]:
    """Where memory was measured: host, device."""
    keys = {key for row in group for each in row.records for key in _inside(each, ("speed", "memory")) or ()}
    return [where for where in ("host", "device") if f"{where}_loaded_mb" in keys]


def memory(row: Row, where: str) -> str:
    """What loading took, and the most at a time while searching, beyond what the process had before."""
    names = [f"{where}_{state}_mb" for state in ("before", "loaded", "peak")]
    before, *held = (row.mean("speed", "memory", name) for name in names)
    return ", ".join("–" if each is None or before is None else size(2**20 * (each - before)) for each in held)


AGES = ("old ", "added ")  # candidates indexed from the start, and those that came later
ALIKE = 0.99  # share of answers that may be expected to be the same one by one and in a batch


class Column(NamedTuple):
    name: str
    text: Callable[[Row], str]
    brief: bool = True  # shown on a terminal, too
    words: bool = False  # not numbers


def columns(ks: Sequence[int], group: Sequence[Row] = (), session: str | None = None) -> list[Column]:
    """Of a task's table; with a column for each age of the candidates where they were not all indexed at once.

    Where queries have several positives, finding one of them (hit) and finding all of them (recall) are two things.
    """
    several = any(each["data"] and each["data"].get("positives") for row in group for each in row.records)
    ends = (ks[0], ks[-1]) if ks else ()
    shared = validity.common(group)
    aged = [(f"{age}hit@{k}", k == ks[0]) for k in ks for age in AGES]
    grown = any(row.mean("cost", "add_s") is not None for row in group)

    def number(name: str, *path: str, brief: bool = True) -> Column:
        return Column(name, lambda row: quantity(row.mean(*path)), brief)

    return [
        Column("retriever", lambda row: row.retriever, words=True),
        Column("paradigm", lambda row: row.paradigm, words=True),
        *[_metric(f"hit@{k}", k in ends) for k in ks],
        *[_metric(f"recall@{k}", k in ends) for k in ks if several],
        *[_metric(name, brief) for name, brief in aged if any(name in row.metrics for row in group)],
        _metric("mrr@10", brief=False),
        Column("queries/s", rate),
        Column("search only/s", search_only),
        number("p50 ms", "speed", "single", "p50_ms"),
        number("p95 ms", "speed", "single", "p95_ms", brief=False),
        *[number(f"queries/s by {size}", "speed", "batch", size, "qps", "median") for size in batch_sizes(group)],
        *[_latency(load) for load in loads(group)],
        *[number("queries/s in bound", "speed", "server", "within_bound") for _ in bounds(group)[:1]],
        number("fit s", "cost", "fit_s"),
        number("index s", "cost", "index_s"),
        *[number("add s", "cost", "add_s")] * grown,
        Column("index", index_size),
        *[Column(f"{where} memory", partial(memory, where=where)) for where in memories(group)],
        Column("note", lambda row: notes(row, session, shared), words=True),
    ]


def batch_sizes(group: Sequence[Row]) -> list[str]:
    return sorted(
        {size for row in group for each in row.records for size in _inside(each, ("speed", "batch")) or ()}, key=int
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
    tried = _inside(record, ("speed", "server", "rates")) or []
    return {
        Load("share", each["share"]) if "share" in each else Load("rate", each["rate"]): each
        for each in tried
        if not each.get("sought")
    }


def _latency(load: Load) -> Column:
    """p99; overloaded where queries came faster than they were answered."""

    def text(row: Row) -> str:
        found = [_loads(each).get(load) for each in row.records]
        if not found or any(each is None for each in found):
            return "–"
        if any(each["overloaded"] for each in found if each):
            return "overloaded"
        return quantity(sum(each["p99_ms"] for each in found if each) / len(found))

    return Column(f"p99 ms at {load.words}", text)


def bounds(group: Sequence[Row]) -> list[float]:
    found = (_inside(each, ("speed", "server", "bound_ms")) for row in group for each in row.records)
    return sorted({each for each in found if each is not None})


def _metric(name: str, brief: bool) -> Column:
    heading = name.upper() if name.startswith("mrr") else name
    return Column(f"{heading} %", lambda row: _share(row, row.metrics.get(name)), brief)


def cells(row: Row, columns: Sequence[Column]) -> dict[str, str]:
    """One row as text."""
    if row.status == "ok":
        return {column.name: column.text(row) for column in columns}
    known = {"retriever": row.retriever, "paradigm": row.paradigm, "note": f"{row.status}: {row.reason}"}
    return {column.name: known.get(column.name, "") for column in columns}


def notes(row: Row, session: str | None, shared: Collection[str] = ()) -> str:
    """What to know of a row; the problems that all rows share stand below the table."""
    found = validity.note(row, shared)
    if session is not None and any(each != session for each in row.sessions):
        found.append("timing reused")
    if len(row.seeds) > 1:
        found.append(f"{len(row.seeds)} seeds")
    if row.asked is not None and not all(each["config"]["retriever"].get("queries") for each in row.records):
        found.append("too slow for all queries within cap_s")
    found += dict.fromkeys(_chosen(tried) for each in row.records if (tried := _inside(each, ("details", "tried"))))
    alone = [_inside(each, ("speed", "single", "agree")) for each in row.records]
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


def near_chance(row: Row) -> bool:
    """Whether a retriever, unless it sees nothing, is at no k certainly better than a random order."""
    data: Any = row.records[0]["data"] if row.records else None
    if not data or blind(row.records[0]):
        return False
    lows = [(_inside(row.metrics, (name, "low")), chance) for name, chance in data["chance"].items() if chance < 1]
    return bool(lows) and all(low is not None and low <= chance for low, chance in lows)


# -- a task's captions ------------------------------------------------------------------------------------------------


LEAKS = {
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


def by_task(all_rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in all_rows:
        groups.setdefault(row.task, []).append(row)
    return groups


# -- forms ------------------------------------------------------------------------------------------------------------

FOOT = (
    "Brackets: 95 % interval, clustered by item, for these models (from three seeds on, for others trained like them: "
    "over seeds and items); quartiles of the rounds for rates. queries/s: query in, ids out, all queries at once "
    "(`offline`). p50, p95: one query at a time (`single`). fit s and index s count every artifact, made now or "
    "found. index: what grows with the gallery + what doesn't (codebooks, centroids). (of 200): a retriever with fewer "
    "queries than others is asked the first 200 of one drawn order."
)


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


def markdown(title: str, all_rows: Sequence[Row], ks: Sequence[int], session: str | None) -> str:
    lines = [f"# {escaping.markdown(title)}", ""]
    here, absent = parted(all_rows)
    for task, group in here.items():
        lines += [f"## {escaping.markdown(task)}", ""]
        near = chance_note(group)
        lines += [escaping.markdown(caption(group)) + ".", ""]
        lines += [escaping.markdown(near) + ".", ""] if near else []
        table = columns(ks, group, session)
        lines += [escaping.row([column.name for column in table]), "|" + "---|" * len(table)]
        lines += [escaping.row(list(cells(row, table).values())) for row in group]
        below = [*filter(None, [sessions_note(group)]), *validity.lines(group)]
        lines += ["", *(part for note in below for part in (escaping.markdown(note) + ".", ""))]
    for reason, tasks in absent.items():
        lines += [f"{', '.join(map(escaping.markdown, tasks))}: {escaping.markdown(reason)}", ""]
    return "\n".join([*lines, FOOT, ""])


def comma_separated(all_rows: Sequence[Row]) -> str:
    """Plain numbers, a row a retriever: for programs."""
    out = []
    for row in all_rows:
        flat: dict[str, Any] = {"task": row.task, "retriever": row.retriever, "paradigm": row.paradigm}
        flat |= {"seeds": " ".join(map(str, row.seeds)), "status": row.status, "reason": row.reason}
        if row.records:
            data: Any = row.records[0]["data"]
            flat |= {key: data[key] for key in ("generated", "items", "queries", "ceiling")}
            flat["asked"] = row.asked
            flat["folds"] = row.folds or None
            flat["digest"] = " ".join(dict.fromkeys(each["data"]["digest"] for each in row.records if each["data"]))
        for name, metric in row.metrics.items():
            flat |= {name: metric["value"], f"{name} low": metric["low"], f"{name} high": metric["high"]}
        for name in ("median", "q25", "q75"):
            flat[f"qps {name}"] = row.mean("speed", "offline", "qps", name)
        for name in ("p50_ms", "p95_ms", "p99_ms"):
            flat[name] = row.mean("speed", "single", name)
        for name in (f"{where}_{state}_mb" for where in ("host", "device") for state in ("before", "loaded", "peak")):
            flat[name] = row.mean("speed", "memory", name)
        for name in ("fit_s", "index_s", "index_bytes", "constant_bytes", "parameters"):
            flat[name] = row.mean("cost", name)
        flat["invalid"] = "; ".join(kind for kind, each in validity.worst(row).items() if each.invalid)
        flat["session"] = " ".join(row.sessions)
        flat["commit"] = " ".join(dict.fromkeys(str(each["environment"].get("commit")) for each in row.records))
        out.append(flat)
    keys = list(dict.fromkeys(key for flat in out for key in flat))
    text = io.StringIO()
    writer = csv.DictWriter(text, keys, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: escaping.csv(value) for key, value in flat.items()} for flat in out)
    return text.getvalue()

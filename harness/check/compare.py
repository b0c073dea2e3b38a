"""Holds a run against a reference, cell by cell, in two tiers.

    exact    operation counts, bytes, identifiers and answers are those of the reference, up to near-ties
    recall   of the queries that both answered no smaller share is answered right

The exact tier flickers nowhere and needs seconds. It is for cells that are configured as they were; changes on
purpose go into the reference (`--update`). The recall tier holds any two cells that were asked the same questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from harness.check.verdict import State, Verdict, named
from harness.contract.dataset import Links
from harness.contract.problems import last_line
from harness.contract.retriever import Ranking, taken
from harness.score import metrics, statistics
from harness.score.agreement import NEAR, agreement
from harness.store.record import Record
from harness.store.run_folder import RunFolder, cell_name

MARGIN = 0.01  # so much may recall drop before it counts
ELSEWHERE = 1e-3  # near-ties of another processor or another version of torch: it rounds otherwise
LOOSE = 0.05  # by so much may a count differ that depends on how scores round, or on which thread was first
BY_CHANCE = ("distances",)  # a graph of FAISS's comes out a little otherwise whenever several threads build it
EXACT = ("index_bytes", "constant_bytes", "parameters")


def compare(reference: RunFolder, run: RunFolder, margin: float = MARGIN) -> Iterator[Verdict]:
    """Verdicts on every cell that the reference has."""
    for old in reference.records():
        name = named(old["task"], old["retriever"], old["seed"])
        if old["status"] == "unavailable":
            continue
        if old["status"] != "ok":
            yield Verdict(
                name, "exact", "inconclusive", "it failed in the reference, of which nothing follows; mend that"
            )
            continue
        new = run.record(cell_name(old["task"], old["retriever"], old["seed"]))
        problem = _incomparable(old, new)
        if problem or new is None:
            yield Verdict(name, "exact", *(problem or ("inconclusive", "")))
            continue
        yield Verdict(name, "exact", *_exact(old, new, reference, run))
        for metric in _metrics(old, new):
            yield Verdict(name, "recall", *_recall(metric, old, new, reference, run, margin))


def _incomparable(old: Record, new: Record | None) -> tuple[State, str] | None:
    if new is None:
        return "inconclusive", "it isn't in the run; run it too, or leave it out of the reference (--update)"
    if new["status"] == "failed":
        return "regression", f"it failed: {last_line(new['reason'] or '') or 'without a reason'}"
    if new["status"] != "ok":
        return "inconclusive", f"{new['status']}: {new['reason']}"
    if old["data"] is None or new["data"] is None or old["data"]["digest"] != new["data"]["digest"]:
        return "inconclusive", "it was asked other questions than the reference's, of which nothing follows"
    return None


# -- exact -------------------------------------------------------------------------------------------------------------


def _exact(old: Record, new: Record, reference: RunFolder, run: RunFolder) -> tuple[State, str]:
    before, after = _asked(reference, old), _asked(run, new)
    edited = old.get("sources") != new.get("sources") and old["config"] == new["config"]  # a suite's own classes
    if before[0].ids.shape[1:] != after[0].ids.shape[1:] or (old["key"] != new["key"] and not edited):
        return "inconclusive", "configured otherwise than the reference; --update it where that is meant"
    shared, mine, theirs = np.intersect1d(before[1], after[1], return_indices=True)
    if not len(shared):
        return "inconclusive", "it answered none of the queries that the reference answered"
    whole = len(shared) == len(before[1]) == len(after[1])
    elsewhere = _platform(old) != _platform(new)
    wrong = list(_differences(old, new, elsewhere)) if whole else []
    if whole and np.array_equal(before[0].ids[mine], after[0].ids[theirs]):
        wrong += _scored(old, new)
    near, where = (ELSEWHERE, ", made on another platform") if elsewhere else (NEAR, "")
    agree = agreement(taken(before[0], mine), taken(after[0], theirs), near)
    if agree < 1:
        wrong.append(f"{round((1 - agree) * len(shared)):,} of {len(shared):,} queries are answered otherwise")
    if wrong:
        return "regression", f"not as in the reference{where}: {'; '.join(wrong)}; --update it where that is meant"
    return "fine", f"counts, bytes and the answers to {len(shared):,} queries are those of the reference{where}"


def _differences(old: Record, new: Record, elsewhere: bool) -> Iterator[str]:
    """What is counted and doesn't depend on the machine, or hardly: a search chooses by scores, which are rounded."""
    before, after = ({**each["counts"], **_sizes(each), **_identifiers(each)} for each in (old, new))
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        loose = name in old["counts"] and (elsewhere or name in BY_CHANCE)
        share = now / was - 1 if _number(was) and _number(now) and was else None
        if was != now and (share is None or not loose or abs(share) > LOOSE):
            change = "" if share is None else f" ({100 * share:+.1f} %)"
            yield f"{name} {_words(now)} instead of {_words(was)}{change}"


def _scored(old: Record, new: Record) -> Iterator[str]:
    """The same answers have the same scores."""
    for name in old["metrics"].keys() & new["metrics"].keys():
        was, now = (each["metrics"][name]["value"] for each in (old, new))
        if was != now and (was is None or now is None or abs(was - now) > 1e-9):
            yield f"the same answers have {name} {now} instead of {was}"


def _sizes(record: Record) -> dict[str, Any]:
    cost: Mapping[str, Any] = record["cost"] or {}
    return {name: cost.get(name, 0) for name in EXACT}


def _identifiers(record: Record) -> dict[str, Any]:
    """How many of them collide, and which they are, where the contestant tells."""
    found = record.get("details", {}).get("identifiers", {})
    return {f"identifiers: {name}": found[name] for name in ("distinct", "colliding", "digest") if name in found}


def _platform(record: Record) -> tuple[Any, ...]:
    """What rounds alike."""
    where = record["environment"]
    versions, kernels = where.get("versions", {}), dict(where.get("compute") or {})
    kernels.pop("gflops", None)  # measured anew with every cache, and no choice
    return where.get("processor"), where.get("device"), kernels, versions.get("torch"), versions.get("numpy")


def _number(value: Any) -> bool:
    return isinstance(value, int | float)


def _words(value: Any) -> str:
    return "nothing" if value is None else f"{value:,}" if _number(value) else str(value)


# -- recall ------------------------------------------------------------------------------------------------------------


def _metrics(old: Record, new: Record) -> list[str]:
    """The first cutoff and the last that both have."""
    known = sorted(
        (name for name in old["metrics"].keys() & new["metrics"].keys() if name.startswith("hit@")),
        key=lambda name: int(name.removeprefix("hit@")),
    )
    return list(dict.fromkeys([*known[:1], *known[-1:]]))


def _recall(
    metric: str, old: Record, new: Record, reference: RunFolder, run: RunFolder, margin: float
) -> tuple[State, str]:
    page = reference.read_task(old["task"])
    links, gallery = Links.listed(page["positives"]), len(page["candidates"]["names"])
    before, after = _asked(reference, old), _asked(run, new)
    shared, mine, theirs = np.intersect1d(before[1], after[1], return_indices=True)
    if not len(shared):
        return "inconclusive", f"{metric}: no query was answered by both"
    k = int(metric.removeprefix("hit@"))
    was, now = (
        metrics.per_query(ranking.ids[rows], links.take(shared), [k], gallery)[metric].astype(float)
        for ranking, rows in ((before[0], mine), (after[0], theirs))
    )
    if np.array_equal(was, now):
        return "fine", f"{metric} {100 * now.mean():.1f} %: the same {len(shared):,} queries right and wrong"
    difference = statistics.paired_difference(now, was, np.array(page["cluster"])[shared])
    return judge(metric, float(was.mean()), difference, margin, len(shared))


def judge(metric: str, was: float, difference: statistics.Difference, margin: float, queries: int) -> tuple[State, str]:
    """A regression: surely worse, and worse by more than the margin. Fine: surely not worse by more than the margin."""
    value, low, high, _ = difference
    words = (
        f"{metric} {100 * (was + value):.1f} % instead of {100 * was:.1f} %: {100 * value:+.1f} points "
        f"[{100 * low:+.1f}, {100 * high:+.1f}] on {queries:,} queries, margin {100 * margin:g}"
    )
    if high < 0 and -value > margin:
        return "regression", words
    if low >= -margin:
        return "fine", words
    return "inconclusive", f"{words}: so few queries can't rule out a larger drop"


# -- answers -----------------------------------------------------------------------------------------------------------


def _asked(folder: RunFolder, record: Record) -> tuple[Ranking, np.ndarray]:
    """The answers, and the queries that they are to, int64 [Q]."""
    ids, scores, queries = folder.read_ranking(cell_name(record["task"], record["retriever"], record["seed"]))
    return Ranking(ids, scores), queries

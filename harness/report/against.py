"""Each retriever against one reference, paired query by query: tables/against.md, .csv and .tex, and the verdict.

The reference is the suite's `compare_to`; where that has no results at a task, the first contestant that has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from harness.machine import escaping
from harness.report import forms
from harness.report.paired import Pair, odds, pairs_with, points
from harness.results.folds import without_parts
from harness.results.rows import Row, by_task, competes
from harness.score import statistics
from harness.score.scoring import blind
from harness.store.run_folder import RunFolder

FOOT = (
    "Points: what the retriever finds minus what the one in the head finds, on the queries that both answered: "
    "positive means that it found more. Brackets: 95 % interval, the differences that a test does not reject; p is the "
    "same test of no difference in hit@1: McNemar's, clustered by item (from three seeds on Student's t, over seeds "
    "and items). Holm's correction of p is over the rows of a table."
)
WORDS = ("task", "retriever", "against")


@dataclass(frozen=True)
class Line:
    """One retriever, the first of the pair, against the reference, the second."""

    pair: Pair
    p: float  # after Holm, over all lines of the task


def against(folder: RunFolder, rows: Sequence[Row]) -> list[Line]:
    """Of all tasks that have a reference and others; a task in folds is one task, and its queries are all of theirs."""
    wanted, found = str(folder.journal().get("compare_to") or ""), list[Line]()
    for group in by_task(without_parts(rows)).values():
        chosen = reference(group, wanted)
        if chosen is None:
            continue
        others = [row for row in group if row is not chosen and row.status == "ok" and not blind(row.records[0])]
        pairs = pairs_with(folder, chosen, others)
        holm = statistics.holm([pair.difference.p for pair in pairs])
        found += [Line(pair, float(p)) for pair, p in zip(pairs, holm, strict=True)]
    return found


def reference(group: Sequence[Row], wanted: str = "") -> Row | None:
    """Whom all others of a task are held against: `wanted`, or its first variant, or the first contestant."""
    fine = [row for row in group if row.status == "ok" and row.records]
    named = [row for row in fine if wanted and row.retriever.partition("@")[0] == wanted]
    exact = [row for row in fine if row.retriever == wanted]
    return next(iter([*exact, *named, *filter(competes, fine)]), None)


def markdown(found: Sequence[Line]) -> str:
    lines = ["# Against one reference"]
    for (task, name), members in _tables(found).items():
        lines += ["", f"## {escaping.markdown(task)}, against {escaping.markdown(name)}", ""]
        lines.append(forms.markdown(_words(members)))
    return "\n".join([*lines, "", FOOT, ""])


def latex(found: Sequence[Line]) -> str:
    tables = _tables(found).items()
    parts = [forms.latex(_words(members), f"{task}, against {name}", words=WORDS) for (task, name), members in tables]
    return "\n".join([forms.PACKAGES, *parts])


def comma_separated(found: Sequence[Line]) -> str:
    """Plain numbers, shares from -1 to 1: for programs."""
    flat = []
    for line in found:
        pair, deeper = line.pair, line.pair.deeper
        numbers = {"difference": pair.difference[0], "low": pair.difference[1], "high": pair.difference[2]}
        numbers |= {"p": pair.difference.p, "p after Holm": line.p}
        deep = dict(zip(("hit@10 difference", "hit@10 low", "hit@10 high"), (deeper or (None,) * 3)[:3], strict=True))
        names = {"task": pair.task, "retriever": pair.first, "against": pair.second}
        flat.append(names | numbers | deep | {"seeds": pair.seeds, "queries": pair.queries})
    return forms.comma_separated(pd.DataFrame(flat))


def _tables(found: Sequence[Line]) -> dict[tuple[str, str], list[Line]]:
    tables: dict[tuple[str, str], list[Line]] = {}
    for line in found:
        tables.setdefault((line.pair.task, line.pair.second), []).append(line)
    return tables


def _words(members: Sequence[Line]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "retriever": [line.pair.first for line in members],
            "hit@1, points": [points(line.pair.difference) for line in members],
            "p": [odds(line.pair.difference.p) for line in members],
            "p after Holm": [odds(line.p) for line in members],
            "hit@10, points": [points(line.pair.deeper) for line in members],
            "seeds": [str(line.pair.seeds) for line in members],
            "shared queries": [f"{line.pair.queries:,}" for line in members],
        },
        dtype=object,
    )

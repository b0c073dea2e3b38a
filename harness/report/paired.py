"""How much better than the dual tower: paired differences on the queries that both were asked, in tables/paired.md.

Intervals of two rows that overlap say little: the same queries are hard for everybody. Here each query is compared with
itself, whole items are resampled, and the p-values of a task's table are adjusted together (Holm).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness import metrics
from harness.record import Record
from harness.report.tables import Row, by_task, links_of
from harness.run_folder import RunFolder, cell_name
from harness.statistics import Difference, holm, paired_difference

PLAIN = ("random", "constant", "oracle", "null")  # kinds that nobody needs compared


@dataclass(frozen=True)
class Comparison:
    task: str
    retriever: str
    reference: str
    queries: int  # asked of both
    value: float  # hit@1 of the one, and of the other, on those queries
    other: float
    difference: Difference
    adjusted: float  # its p-value among those of its task


def comparisons(folder: RunFolder, all_rows: Sequence[Row]) -> list[Comparison]:
    """Every retriever of a task against the task's first dual tower."""
    found = []
    for group in by_task(all_rows).values():
        fine = [row for row in group if row.status == "ok" and _kind(row.records[0]) not in PLAIN]
        reference = next((row for row in fine if row.paradigm == "dual-tower"), None)
        if reference is not None:
            found += _of_task(folder, [row for row in fine if row is not reference], reference)
    return found


def _kind(record: Record) -> str:
    return str(record["config"]["retriever"].get("kind"))


def _of_task(folder: RunFolder, rows: list[Row], reference: Row) -> list[Comparison]:
    page = folder.read_task(reference.task)
    links, cluster, gallery = links_of(page), np.array(page["cluster"]), len(page["candidates"]["names"])

    def hits(row: Row, seed: int) -> dict[int, float]:
        ids, _, asked = folder.read_ranking(cell_name(row.task, row.retriever, seed))
        values = metrics.per_query(ids, links.take(asked), [1], gallery)["hit@1"]
        return dict(zip(asked.tolist(), values.tolist(), strict=True))

    drawn = []
    for row in rows:
        seeds = [seed for seed in row.seeds if seed in reference.seeds]
        pairs = [(hits(row, seed), hits(reference, seed)) for seed in seeds]
        shared = sorted(set.intersection(*(set(each) for pair in pairs for each in pair))) if pairs else []
        if shared:
            one, other = (np.array([[pair[side][query] for query in shared] for pair in pairs]) for side in (0, 1))
            difference = paired_difference(one, other, cluster[shared])
            drawn.append((row, len(shared), float(one.mean()), float(other.mean()), difference))
    adjusted: list[float] = holm([each[-1].p for each in drawn]).tolist() if drawn else []
    return [
        Comparison(row.task, row.retriever, reference.retriever, count, one, other, difference, p)
        for (row, count, one, other, difference), p in zip(drawn, adjusted, strict=True)
    ]


def markdown(found: Sequence[Comparison]) -> str:
    lines = ["# hit@1 beside the dual tower's, query by query", ""]
    for task in dict.fromkeys(each.task for each in found):
        group = [each for each in found if each.task == task]
        lines += [f"## {task}", "", "| retriever | queries | hit@1 % | and of | % | difference, points | p (Holm) |"]
        lines.append("|---|---|---|---|---|---|---|")
        for each in group:
            value, low, high, _ = (100 * number for number in each.difference)
            points = f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
            numbers = f"{100 * each.value:.1f} | {each.reference} | {100 * each.other:.1f} | {points}"
            lines.append(f"| {each.retriever} | {each.queries:,} | {numbers} | {each.adjusted:.3g} |")
        lines.append("")
    lines.append("Only queries that both were asked count. Brackets: 95 % interval, clustered by item.")
    return "\n".join([*lines, ""])

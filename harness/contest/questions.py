"""What a contest asks its contestants, and what they warm up with. Called by the runner and by fresh processes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from harness.contest.asking import Questions
from harness.contest.builder import Builder
from harness.contest.task import Task
from harness.suite.spec import Cell

MOST = 1000  # queries to warm up with
UNSEEN = 40  # more of them that are kept for the end, where that leaves as many to warm up with


def questions(builder: Builder, task: Task, cells: Sequence[Cell], depth: int, process: int = 0) -> Questions:
    """Other queries to warm up with: validation's, else train's, else the task's own.

    The task's own also where an encoder, or one that encodes media for it, knows no others. `process`: each of several
    has turns in an order of its own.
    """
    cell, text = cells[0], task.queries.modality == "text"
    used = [part for each in cells if each.encoder for part in ([each.encoder] if text else each.encoder.parts())]
    ask = partial(Questions, task.queries, gallery=task.items, k=depth, seed=cell.seed + (process << 32))
    if not any(part.entry.closed for part in used):
        train, validation = builder.pairs(cell.task.dataset, cell.task.direction)
        for name, pairs in (("validation", validation), ("train", train)):
            if len(pairs.queries) and name != cell.task.split:  # the task's own split would be known already
                kept = UNSEEN if len(pairs.queries) >= 2 * UNSEEN else 0
                count = min(MOST, len(pairs.queries) - kept)
                unseen = pairs.queries[count : count + kept] if kept else None
                return ask(pairs.queries[:count], name, unseen=unseen)
    return ask(task.queries[:64], "own")

"""Prepares cells with outside code in a process of their own, before the runner loads them from the store.

Outside code is what a suite's `kind: python` or another package's entry point brings: it may hang, exit or crash. The
child fits and indexes through the store and tries the retriever out; what it made is found there afterwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from harness import child, compute
from harness.suite import Cell, Suite
from harness.workshop import Workshop

TRIED = 4  # queries of the trial


class Failed(Exception):
    """The child's traceback, or how it ended."""


class Job(NamedTuple):
    cell: Cell
    cache: Path
    fresh: bool
    current: frozenset[str]  # artifacts that this run made already
    data: Path
    k: int
    compute: compute.Compute


def prepare(cell: Cell, suite: Suite, workshop: Workshop, k: int) -> None:
    """Nothing for a cell of our own kinds, unless it has a limit of its own."""
    own = cell.retriever.component.limit_s
    if own is None and not any(part.entry.foreign for part in cell.parts()):
        return
    store = workshop.store
    current = frozenset(store.current | store.verified.keys())
    job = Job(cell, store.root, store.fresh, current, workshop.data, k, compute.current())
    hint = "; raise `limit_s`, beside the retriever or at the top of the suite, if it needs longer"
    for answer in child.answers("harness.apart:work", [job], own or suite.limit_s, hint):
        if answer.failure is not None:
            raise (answer.raised or Failed)(answer.failure)
        store.current |= answer.value


def work(job: Job) -> set[str]:
    """The child's side: all that the runner would do with the cell but the timing. Gives the artifacts that it used."""
    from harness.artifacts import Store
    from harness.task import open_task

    compute.configure(job.compute.device, job.compute.threads, job.compute.choices)
    store, spec = Store(job.cache, job.fresh), job.cell.task
    store.current |= job.current
    workshop = Workshop(store, job.data)
    task = open_task(spec.name, workshop.dataset(spec.dataset), spec.part, spec.direction, spec.hold_out)
    _try_out(workshop.retriever(job.cell, task), task, job.k)
    return set(store.verified)


def _try_out(retriever: Any, task: Any, k: int) -> None:
    """One by one and in a batch, and everything else that is asked of it between the timed rounds."""
    from harness.measure import in_memory
    from harness.metrics import check_ranking

    queries = in_memory(task.queries[:TRIED])
    retriever.reset_counts()
    for asked in [queries[place : place + 1] for place in range(len(queries))] + [queries]:
        ranking = retriever.search(asked, k)
        check_ranking(ranking.ids, ranking.scores, task.items, (len(asked), k))
    retriever.footprint(), retriever.counts(), retriever.details()

"""Prepares cells with outside code in a process of their own, before the runner loads them from the store.

Outside code is what a suite's `kind: python` or another package's entry point brings: it may hang, exit or crash. The
child fits and indexes through the store and tries the retriever out; what it made is found there afterwards.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, NamedTuple

from harness.contest import child
from harness.contest.builder import Builder
from harness.machine import compute
from harness.machine.disk import in_words
from harness.suite.spec import Cell, Suite

TRIED = 4  # queries of the trial


class Failed(Exception):
    """The child's traceback, or how it ended."""


class Outcome(NamedTuple):
    made: set[str]  # artifacts that it made or found
    failed: dict[str, str]  # those that couldn't be built, and why
    failure: str | None = None  # the traceback, where one of these ended it


class Job(NamedTuple):
    cell: Cell
    cache: Path
    fresh: bool
    current: frozenset[str]  # artifacts that this run made already
    failed: dict[str, str]  # and those that it can't build
    data: Path
    k: int
    compute: compute.Compute


def prepare(cell: Cell, suite: Suite, builder: Builder, k: int) -> None:
    """Prepare a cell with outside code, or with a limit of its own; other cells need no process."""
    own = cell.retriever.component.limit_s
    if own is None and not any(part.entry.foreign for part in cell.parts()):
        return
    store = builder.store
    current = frozenset(store.current | store.verified.keys())
    failed = {digest: _why(error) for digest, (error, _) in store.failed.items()}
    job = Job(cell, store.root, store.fresh, current, failed, builder.data, k, compute.current())
    hint = "; raise `limit_s`, beside the retriever or at the top of the suite, if it needs longer"
    for answer in child.answers("harness.contest.isolated:work", [job], own or suite.limit_s, hint):
        if answer.failure is not None:
            raise (answer.raised or Failed)(answer.failure)
        outcome: Outcome = answer.value
        store.current |= outcome.made
        store.failed |= {digest: (Failed(text), None) for digest, text in outcome.failed.items()}
        if outcome.failure is not None:
            raise Failed(outcome.failure)


def _why(error: BaseException) -> str:
    return str(error) if isinstance(error, Failed) else in_words(error)


def work(job: Job) -> Outcome:
    """In the child: all that the runner does with the cell, except the timing."""
    from harness.store.artifacts import Store

    compute.configure(job.compute.device, job.compute.threads, job.compute.choices)
    store = Store(job.cache, job.fresh)
    store.current |= job.current
    store.failed |= {digest: (Failed(text), None) for digest, text in job.failed.items()}
    builder = Builder(store, job.data)
    task = builder.task(job.cell.task)
    try:
        _try_out(builder.retriever(job.cell, task), task, job.k)
    except (Exception, SystemExit) as error:
        failed = {digest: _why(cause) for digest, (cause, _) in store.failed.items() if digest not in job.failed}
        if not failed or isinstance(error, child.plain_errors()):
            raise
        return Outcome(set(store.verified), failed, traceback.format_exc())
    return Outcome(set(store.verified), {})


def _try_out(retriever: Any, task: Any, k: int) -> None:
    """One by one and in a batch, and all other calls between the timed rounds."""
    from harness.contest.answers import checked
    from harness.contest.asking import in_memory

    queries = in_memory(task.queries[:TRIED])
    retriever.reset_counts()
    for asked in [queries[place : place + 1] for place in range(len(queries))] + [queries]:
        checked(retriever.search(asked, k), task.items, (len(asked), k))
    footprint = retriever.footprint()
    if not isinstance(footprint, tuple):
        raise TypeError(
            f"the footprint is of type {type(footprint).__name__}: expected harness.contract.Footprint; return "
            "Footprint(index_bytes=…, parameters=…)"
        )
    retriever.counts(), retriever.details()

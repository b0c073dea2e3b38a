"""Writes what came of a cell: its record, and its ranking beside it. Called by the runner, as soon as it is known."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.contest import guard
from harness.contest.ahead import Ahead, nothing
from harness.contest.asking import Contestant
from harness.contest.task import Task
from harness.contract.retriever import Footprint
from harness.machine.progress import say
from harness.score.scoring import broken_control, chance, score
from harness.store import record
from harness.store.artifacts import Frame, Store
from harness.store.record import Record
from harness.store.run_folder import RunFolder
from harness.suite.spec import Cell, Suite

LEAST_DEPTH = 10  # MRR@10, mAP@10 and nDCG@10 need ten answers


@dataclass(frozen=True)
class Session:
    """One call of `run`: what all its records have in common."""

    id: str
    suite: Suite
    folder: RunFolder
    store: Store
    data: Path
    environment: dict[str, Any]
    fresh: bool = False
    fails: Mapping[str, str] = field(default_factory=dict)  # by digest: components that can't be run, as `checks` found
    ahead: Ahead = field(default_factory=nothing)
    drawn: bool = False  # plots, the page and what it shows: seconds a contest

    @property
    def depth(self) -> int:
        return max(LEAST_DEPTH, *self.suite.k)


def _base(session: Session, cell: Cell, task: Task | None, status: Any, reason: str | None) -> Record:
    component = cell.retriever.component
    data: Any = None
    if task is not None:
        data = {
            "modality": task.modality,
            "generated": task.generated,
            "items": task.items,
            "queries": len(task.queries),
            "dropped": len(task.dropped),
            "digest": task.digest,
            "ceiling": task.ceiling,
            "chance": chance(task.links, session.suite.k, task.items),
            "sampled_queries": None,
        }
        if len(task.links.targets) > len(task.queries):
            data["positives"] = len(task.links.targets) / len(task.queries)
        if task.leaks:
            data["leaks"] = dict(task.leaks)
        if task.added:
            data["added"] = task.added
        if task.expected is not None:
            data |= {"present": task.media, "expected": task.expected}
        if task.layout:
            data["layout"] = task.layout
    instruments = {"encoder": cell.encoder, "captioner": cell.captioner}
    base: Record = {
        "schema_version": record.SCHEMA_VERSION,
        "suite": session.suite.name,
        "task": cell.task.name,
        "dataset": cell.task.dataset.name,
        "retriever": cell.retriever.name,
        "paradigm": component.entry.paradigm,
        "seed": cell.seed,
        "status": status,
        "reason": reason,
        "data": data,
        "metrics": {},
        "speed": None,
        "cost": None,
        "counts": {},
        "config": {
            "retriever": component.config | ({"queries": component.queries} if component.queries else {}),
            "dataset": cell.task.dataset.config,
            **{name: used.config for name, used in instruments.items() if used},
        },
        "environment": session.environment,
        "key": session.suite.key(cell),
        "family": cell.family,
        "rankings": None,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    if cell.sources:
        base["sources"] = cell.sources
    return base


def give_up(session: Session, cells: list[Cell], status: str, reason: str, task: Task | None = None) -> None:
    for cell in cells:
        session.ahead.passed(cell)
        record.save(session.folder.record_path(cell.file), _base(session, cell, task, status, reason))


def succeed(
    session: Session,
    cell: Cell,
    task: Task,
    contestant: Contestant,
    book: Frame,
    noise: dict[str, Any],
    contents: str,
) -> None:
    ranking, asked = contestant.ranking, contestant.queries
    written = _base(session, cell, task, "ok", None)
    assert written["data"] is not None  # there is a task
    written["data"]["contents"] = contents
    if len(asked) < len(task.queries):
        written["data"]["sampled_queries"] = len(asked)
        if contestant.limit is None:
            say(
                f"  {contestant.name}: too slow for all queries: on this machine it was asked {len(asked):,} of "
                f"{len(task.queries):,} queries; `queries: N` beside it in the suite asks it the same N everywhere"
            )
    links, cluster = task.links.take(asked), task.cluster[asked]
    written["metrics"] = score(ranking.ids, links, cluster, session.suite.k, task.items, task.added)
    written["speed"] = {"session": session.id, **contestant.speed, "noise": noise}  # type: ignore[typeddict-item]
    with guard.kept(contestant.name, contestant.changed):
        footprint = Footprint(*contestant.retriever.footprint())
        details = {**contestant.details, **contestant.retriever.details()}
    written["cost"] = _cost(book, footprint)
    written["counts"] = dict(contestant.counts)
    if contestant.changed:
        written["changed"] = list(contestant.changed)
    if details:
        written["details"] = details
    written["rankings"] = session.folder.write_ranking(cell.file, ranking, asked)
    record.save(session.folder.record_path(cell.file), written)
    problem = broken_control(written, links)
    if problem:
        say(f"  BROKEN: {problem}")


def _cost(book: Frame, footprint: Footprint) -> Any:
    artifacts = {}
    for digest, entry in book.used.items():
        name = f"{entry['kind']} {entry['label']}"
        artifacts[name if name not in artifacts else f"{name} {digest[:8]}"] = {
            "s": sum(entry["seconds"].values()),
            "peak_mb": entry["peak_mb"],
            "phase": ", ".join(sorted(entry["seconds"])),
            "digest": digest,
        }
    spent = {
        f"{phase}_s": sum(entry["seconds"].get(phase, 0.0) for entry in book.used.values())
        for phase in ("fit", "index", "add")
        if phase != "add" or any("add" in entry["seconds"] for entry in book.used.values())
    }
    return {
        **spent,
        "artifacts": artifacts,
        "index_bytes": footprint.index_bytes,
        "constant_bytes": footprint.constant_bytes,
        "parameters": footprint.parameters,
    }

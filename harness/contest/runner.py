"""Runs a suite: contest by contest, prepares the contestants one by one, times them together, writes records.

Finished work is kept: artifacts in the store, cells in the run's folder. A contest with a new contestant is timed anew
as a whole, since rates compare within one session only.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.contest import fresh, guard, isolated, preview
from harness.contest.asking import Contestant
from harness.contest.builder import Builder
from harness.contest.questions import questions
from harness.contest.task import Task, open_task, write_page
from harness.contest.timing import contest
from harness.contract.dataset import Links, Unavailable
from harness.contract.problems import BadInput, last_line
from harness.contract.retriever import Footprint
from harness.machine import disk, interruption
from harness.machine.progress import say
from harness.score.scoring import broken_control, chance, score
from harness.store import record
from harness.store.artifacts import Frame, Store
from harness.store.record import Record
from harness.store.run_folder import RunFolder, cell_name
from harness.suite import sources
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

    @property
    def depth(self) -> int:
        return max(LEAST_DEPTH, *self.suite.k)


@dataclass(frozen=True)
class Outcome:
    failed: int
    unavailable: int
    reused: int
    broken: tuple[str, ...]  # controls that were not where they must be


def run(session: Session) -> Outcome:
    """Every cell of the suite ends as a record: ok, failed or unavailable."""
    builder = Builder(session.store, session.data)
    contests: dict[tuple[str, int], list[Cell]] = {}
    for cell in session.suite.cells():
        contests.setdefault((cell.task.name, cell.seed), []).append(cell)
    reused = 0
    for number, ((name, seed), cells) in enumerate(contests.items(), 1):
        say(f"[{number}/{len(contests)}] {name}, seed {seed}: {len(cells)} cells")
        kept, cells = _refuse(session, cells)
        reused += kept + (_contest(session, builder, cells) if cells else 0)
    records = [session.folder.record(cell.file) for cell in session.suite.cells()]
    return Outcome(
        failed=sum(1 for each in records if each is None or each["status"] == "failed"),
        unavailable=sum(1 for each in records if each is not None and each["status"] == "unavailable"),
        reused=reused,
        broken=tuple(filter(None, (_broken(session, each) for each in records if each is not None))),
    )


def _broken(session: Session, found: Record) -> str | None:
    """What is wrong where a control is not where it must be, from its record."""
    if found["paradigm"] != "control" or found["status"] != "ok":
        return None
    asked = session.folder.read_ranking(cell_name(found["task"], found["retriever"], found["seed"]))[2]
    return broken_control(found, Links.listed(session.folder.read_task(found["task"])["positives"]).take(asked))


def _refuse(session: Session, cells: list[Cell]) -> tuple[int, list[Cell]]:
    """Record cells whose code failed its check as failed. Returns how many are finished, and all others."""
    kept, others = 0, []
    for cell in cells:
        reason = next((session.fails[part.digest] for part in cell.parts() if part.digest in session.fails), None)
        found = session.folder.record(cell.file) if reason else None
        if reason is None:
            others.append(cell)
        elif found is not None and found["status"] == "ok" and found["key"] == session.suite.key(cell):
            kept += 1
        else:
            say(f"  {cell.retriever.name}: failed: {reason}")
            _give_up(session, [cell], "failed", reason)
    return kept, others


def _contest(session: Session, builder: Builder, cells: list[Cell]) -> int:
    """One task and seed; returns how many finished cells were kept as they are."""
    try:
        spec = cells[0].task
        task = open_task(spec.name, builder.dataset(spec.dataset), spec.part, spec.direction, spec.hold_out)
        done = {cell for cell in cells if not session.fresh and _finished(session, cell, task)}
        if len(done) < len(cells):
            task = replace(task, leaks=builder.leaks(spec.dataset, spec.part))
    except Unavailable as reason:
        say(f"  unavailable: {reason}")
        _give_up(session, cells, "unavailable", str(reason))
        return 0
    except BadInput as reason:
        say(f"  failed: {reason}")
        _give_up(session, cells, "failed", str(reason))
        return 0
    except BaseException as error:
        interruption.let_pass(error)
        disk.end_if_full(session.store.root, spec.name, error)
        say(f"  failed: {last_line(traceback.format_exc(limit=-1))}")
        _give_up(session, cells, "failed", traceback.format_exc())
        return 0
    for cell in (cell for cell in cells if cell.sources and cell not in done):
        changed = sources.changed(session.folder.record(cell.file) or {}, cell.sources)
        if changed:
            say(f"  {cell.retriever.name}: the source of {', '.join(changed)} changed: run again")
    ready = _prepare(session, builder, task, [cell for cell in cells if cell not in done])
    if not ready:
        if done:
            say(f"  {len(done)} cells reused, with the timing of the session that made them")
        return len(done)
    ready |= _prepare(session, builder, task, [cell for cell in cells if cell in done])
    _measure(session, builder, task, [(cell, *ready[cell]) for cell in cells if cell in ready])
    return 0


def _finished(session: Session, cell: Cell, task: Task) -> bool:
    found = session.folder.record(cell.file)
    return (
        found is not None
        and found["status"] == "ok"
        and found["key"] == session.suite.key(cell)
        and found["data"] is not None
        and found["data"]["digest"] == task.digest
        # answers would be the same on other threads or another device, rates would not
        and all(found["environment"].get(name) == session.environment[name] for name in ("device", "threads"))
    )


def _prepare(session: Session, builder: Builder, task: Task, cells: list[Cell]) -> dict[Cell, tuple[Contestant, Frame]]:
    """Fit and index, through the store. A failed or unavailable cell is recorded at once, and the others go on."""
    ready: dict[Cell, tuple[Contestant, Frame]] = {}
    for place, cell in enumerate(cells):
        interruption.heed()
        if _dear(cell) and not any(map(_dear, cells[:place])) and not _finished(session, cell, task):
            towers = [contestant for each, (contestant, _) in ready.items() if _shown_early(each)]
            preview.show(towers, task, session.suite.k)
        component = cell.retriever.component
        begun = time.monotonic()
        changed: dict[str, None] = {}
        try:
            isolated.prepare(cell, session.suite, builder, session.depth)
            with guard.kept(cell.retriever.name, changed), session.store.ledger() as book:
                retriever = builder.retriever(cell, task)
            details = builder.details(cell)
        except Unavailable as reason:
            say(f"  {cell.retriever.name}: unavailable: {reason}")
            _give_up(session, [cell], "unavailable", str(reason), task)
            continue
        except (BadInput, isolated.Failed) as reason:
            say(f"  {cell.retriever.name}: failed: {last_line(str(reason))}")
            _give_up(session, [cell], "failed", str(reason), task)
            continue
        except BaseException as error:
            interruption.let_pass(error)
            say(f"  {cell.retriever.name}: failed: {last_line(traceback.format_exc())}")
            _give_up(session, [cell], "failed", traceback.format_exc(), task)
            continue
        cost = sum(sum(entry["seconds"].values()) for entry in book.used.values())
        say(f"  {cell.retriever.name}: ready in {time.monotonic() - begun:.1f} s (its preparation cost {cost:.1f} s)")
        contestant = Contestant(cell.retriever.name, retriever, component.queries, details=details, changed=changed)
        ready[cell] = (contestant, book)
    return ready


def _dear(cell: Cell) -> bool:
    """Whether it learns more than an encoder: minutes, where all before it took none."""
    return cell.captioner is not None or cell.retriever.component.entry.paradigm == "single-tower"


def _shown_early(cell: Cell) -> bool:
    component = cell.retriever.component
    return component.entry.paradigm == "dual-tower" and not any(part.entry.foreign for part in cell.parts())


def _measure(session: Session, builder: Builder, task: Task, ready: list[tuple[Cell, Contestant, Frame]]) -> None:
    from harness.machine import environment

    say(f"  timing {len(ready)} contestants")
    try:
        asked = questions(builder, task, [cell for cell, _, _ in ready], session.depth)
        before = environment.busy()
        contest([contestant for _, contestant, _ in ready], asked, fresh.shared(session.suite.scenarios))
        noise = environment.noise(before, environment.busy())
        noise = fresh.ask([each[:2] for each in ready], session.suite, builder, session.depth, noise)
        write_page(session.folder.task_path(task.name), task)
    except BaseException as error:  # a query that can't be read, e.g. a file that broke meanwhile
        interruption.let_pass(error)
        say(f"  failed: {last_line(traceback.format_exc())}")
        _give_up(session, [cell for cell, _, _ in ready], "failed", traceback.format_exc(), task)
        return
    for cell, contestant, book in ready:
        if contestant.failure is None:
            try:
                _succeed(session, cell, task, contestant, book, noise)
            except BaseException as error:  # odd counts or sizes: only this cell fails
                interruption.let_pass(error)
                contestant.failure = traceback.format_exc()
        if contestant.failure is not None:
            say(f"  {cell.retriever.name}: failed: {last_line(contestant.failure)}")
            _give_up(session, [cell], "failed", contestant.failure, task)


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
        "rankings": None,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    if cell.sources:
        base["sources"] = cell.sources
    return base


def _give_up(session: Session, cells: list[Cell], status: str, reason: str, task: Task | None = None) -> None:
    for cell in cells:
        record.save(session.folder.record_path(cell.file), _base(session, cell, task, status, reason))


def _succeed(
    session: Session, cell: Cell, task: Task, contestant: Contestant, book: Frame, noise: dict[str, Any]
) -> None:
    ranking, asked = contestant.ranking, contestant.queries
    written = _base(session, cell, task, "ok", None)
    if written["data"] and len(asked) < len(task.queries):
        written["data"]["sampled_queries"] = len(asked)
        if contestant.limit is None:
            say(
                f"  {contestant.name}: too slow for cap_s: on this machine it was asked {len(asked):,} of "
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
    return {
        "fit_s": sum(entry["seconds"].get("fit", 0.0) for entry in book.used.values()),
        "index_s": sum(entry["seconds"].get("index", 0.0) for entry in book.used.values()),
        "artifacts": artifacts,
        "index_bytes": footprint.index_bytes,
        "constant_bytes": footprint.constant_bytes,
        "parameters": footprint.parameters,
    }

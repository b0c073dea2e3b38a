"""Runs a suite: contest by contest, prepares the contestants one by one, times them together, writes records.

Finished work is kept: artifacts in the store, cells in the run's folder. A contest with a new contestant is timed anew
as a whole, since rates compare within one session only.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from harness.contest import fresh, guard, isolated, mapping, preview, showing
from harness.contest.asking import Contestant
from harness.contest.builder import Builder
from harness.contest.missing import brief
from harness.contest.questions import questions
from harness.contest.recording import Session, give_up, succeed
from harness.contest.task import Task, write_page
from harness.contest.timing import contest
from harness.contract.dataset import Links, Unavailable
from harness.contract.problems import BadInput, last_line
from harness.machine import disk, interruption
from harness.machine.progress import say
from harness.score.scoring import broken_control
from harness.store.artifacts import Frame
from harness.store.record import Record
from harness.store.run_folder import cell_name
from harness.suite import sources
from harness.suite.spec import Cell


@dataclass(frozen=True)
class Outcome:
    failed: int
    unavailable: int
    reused: int
    broken: tuple[str, ...]  # controls that were not where they must be


def run(session: Session, finished: Callable[[], object] | None = None) -> Outcome:
    """Every cell of the suite ends as a record: ok, failed or unavailable. `finished`: called after each contest."""
    builder = Builder(session.store, session.data)
    contests: dict[tuple[str, int], list[Cell]] = {}
    for cell in session.suite.cells():
        contests.setdefault((cell.task.name, cell.seed), []).append(cell)
    reused = 0
    for number, ((name, seed), cells) in enumerate(contests.items(), 1):
        say(f"[{number}/{len(contests)}] {name}, seed {seed}: {len(cells)} cells")
        kept, cells = _refuse(session, cells)
        reused += kept + (_contest(session, builder, cells) if cells else 0)
        if finished is not None and number < len(contests):  # the last one's page is the run's
            finished()
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
            give_up(session, [cell], "failed", reason)
    return kept, others


def _contest(session: Session, builder: Builder, cells: list[Cell]) -> int:
    """One task and seed; returns how many finished cells were kept as they are."""
    try:
        spec = cells[0].task
        task = builder.task(spec)
        done = {cell for cell in cells if not session.fresh and _finished(session, cell, builder.contents(cell, task))}
        if len(done) < len(cells):
            task = replace(task, leaks=builder.leaks(spec.dataset, spec.part))
    except Unavailable as reason:
        say(f"  unavailable: {brief(str(reason))}")
        give_up(session, cells, "unavailable", str(reason))
        return 0
    except BadInput as reason:
        say(f"  failed: {reason}")
        give_up(session, cells, "failed", str(reason))
        return 0
    except BaseException as error:
        interruption.let_pass(error)
        disk.end_if_full(session.store.root, spec.name, error)
        say(f"  failed: {last_line(traceback.format_exc(limit=-1))}")
        give_up(session, cells, "failed", traceback.format_exc())
        return 0
    if any(_other_data(session, cell, builder.contents(cell, task)) for cell in cells if cell not in done):
        say("  its data changed since: run again")
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


def _finished(session: Session, cell: Cell, contents: str) -> bool:
    found = session.folder.record(cell.file)
    return (
        found is not None
        and found["status"] == "ok"
        and found["key"] == session.suite.key(cell)
        and found["data"] is not None
        and found["data"].get("contents") == contents
        # answers would be the same on other threads or another device, rates would not
        and all(found["environment"].get(name) == session.environment[name] for name in ("device", "threads"))
    )


def _other_data(session: Session, cell: Cell, contents: str) -> bool:
    found = session.folder.record(cell.file)
    return found is not None and found["data"] is not None and found["data"].get("contents", contents) != contents


def _prepare(session: Session, builder: Builder, task: Task, cells: list[Cell]) -> dict[Cell, tuple[Contestant, Frame]]:
    """Fit and index, through the store. A failed or unavailable cell is recorded at once, and the others go on."""
    ready: dict[Cell, tuple[Contestant, Frame]] = {}
    for place, cell in enumerate(cells):
        interruption.heed()
        if (
            _dear(cell)
            and not any(map(_dear, cells[:place]))
            and not _finished(session, cell, builder.contents(cell, task))
        ):
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
            say(f"  {cell.retriever.name}: unavailable: {brief(str(reason))}")
            give_up(session, [cell], "unavailable", str(reason), task)
            continue
        except (BadInput, isolated.Failed) as reason:
            say(f"  {cell.retriever.name}: failed: {last_line(str(reason))}")
            give_up(session, [cell], "failed", str(reason), task)
            continue
        except BaseException as error:
            interruption.let_pass(error)
            say(f"  {cell.retriever.name}: failed: {last_line(traceback.format_exc())}")
            give_up(session, [cell], "failed", traceback.format_exc(), task)
            continue
        cost = sum(sum(entry["seconds"].values()) for entry in book.used.values())
        taken = f"ready in {time.monotonic() - begun:.1f} s (its preparation cost {cost:.1f} s)"
        say(f"  {cell.retriever.name}: {taken}{session.ahead.passed(cell)}")
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
        give_up(session, [cell for cell, _, _ in ready], "failed", traceback.format_exc(), task)
        return
    for cell, contestant, book in ready:
        if contestant.failure is None:
            try:
                succeed(session, cell, task, contestant, book, noise, builder.contents(cell, task))
            except BaseException as error:  # odd counts or sizes: only this cell fails
                interruption.let_pass(error)
                contestant.failure = traceback.format_exc()
        if contestant.failure is not None:
            say(f"  {cell.retriever.name}: failed: {last_line(contestant.failure)}")
            give_up(session, [cell], "failed", contestant.failure, task)
    if session.drawn:
        fine, seed = [contestant for _, contestant, _ in ready if contestant.failure is None], ready[0][0].seed
        kept = partial(showing.keep, session.folder, task, seed, fine, builder.seals.reveal)
        _keep(session, task, "media or paths", kept)
        if seed == session.suite.seeds[0]:
            _keep(session, task, "map of candidates", partial(mapping.keep, session.folder, task, seed, fine))


def _keep(session: Session, task: Task, what: str, keep: Callable[[], None]) -> None:
    """What can be looked at. Nobody's figures depend on it, so that no error in it ends a run."""
    try:
        keep()
    except BaseException as error:
        interruption.let_pass(error)
        disk.end_if_full(session.folder.root, task.name, error)
        say(f"  no {what} to look at: {last_line(traceback.format_exc())}")

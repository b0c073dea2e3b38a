"""Checks of a suite before anything is made: for `plan`, and for `run` before it begins.

Files are looked for, annotations read, index strings tried, outside classes imported; in a child process where that
runs outside code or may take long. Findings are mistakes in the suite or in files it names, what isn't here, and what
would fail.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from harness.contest import child
from harness.contest.missing import Missing, missing
from harness.contract.problems import BadInput, Problem, last_line, shown
from harness.suite.spec import Component, Suite

PLAN_S = 60.0  # a plan waits so long for one import, or one dataset's annotations
MOST_FILES = 20_000  # media files of a split that are looked for
SHOWN = 3

State = Literal["wrong", "unavailable", "fails", "remark"]


class Finding(NamedTuple):
    state: State
    text: str
    problems: tuple[Problem, ...] = ()  # of `wrong`, where the file and line are not the suite's


@dataclass
class Findings:
    wrong: list[Problem] = field(default_factory=list)  # bad input: nothing is run
    missing: list[Missing] = field(default_factory=list)
    unavailable: dict[str, str] = field(default_factory=dict)  # by a component's digest: why
    fails: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)


class Job(NamedTuple):
    component: Component
    split: str  # of a dataset, which is opened; empty: the class is imported
    data: Path


def check(suite: Suite, data: Path, limit_s: float = PLAN_S) -> Findings:
    """Check all components of the suite's cells, each once. `limit_s`: for each call of outside code."""
    found = Findings()
    parts: dict[str, Component] = {}
    splits: dict[tuple[str, str], Component] = {}
    for cell in suite.cells():
        for part in cell.parts():
            parts.setdefault(part.digest, part)
            if part.section == "datasets" and not part.entry.generated:
                split = cell.task.part if part.digest == cell.task.dataset.digest else "train"
                splits.setdefault((part.digest, split), part)
    for part in parts.values():
        lacks = missing(part, suite.path.parent, data)
        if lacks:
            found.missing.append(lacks)
            found.unavailable[part.digest] = lacks.reason
    here = [part for part in parts.values() if part.digest not in found.unavailable]
    jobs = [Job(part, "", data) for part in here if part.entry.foreign]
    jobs += [Job(part, split, data) for (digest, split), part in splits.items() if digest not in found.unavailable]
    for component, finding in [*_checked_arguments(here), *_tried(jobs, limit_s)]:
        _file(found, component, finding, suite.path)
    return found


def _file(found: Findings, component: Component, finding: Finding, path: Path) -> None:
    if finding.state == "wrong":
        text = f"{component.section}.{component.name}: {finding.text}"
        found.wrong += finding.problems or (Problem(str(path), component.line, text),)
    else:
        named = {"unavailable": found.unavailable, "fails": found.fails, "remark": found.remarks}
        named[finding.state].setdefault(component.digest, finding.text)


def _checked_arguments(parts: list[Component]) -> Iterator[tuple[Component, Finding]]:
    """Call the kinds' own checks, side by side, as some wait for a process."""
    named = [part for part in parts if part.entry.check]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for part, problem in zip(named, pool.map(lambda part: _function(part)(part.arguments), named), strict=True):
            if problem:
                yield part, Finding("wrong", problem)


def _function(component: Component) -> Callable[[Any], str | None]:
    module, _, name = component.entry.check.partition(":")
    function: Callable[[Any], str | None] = getattr(importlib.import_module(module), name)
    return function


def _tried(jobs: list[Job], limit_s: float) -> Iterator[tuple[Component, Finding]]:
    found = child.answers("harness.contest.checks:work", jobs, limit_s)
    for job, answer in zip(jobs, found, strict=True):
        what = f"split {job.split}" if job.split else job.component.entry.target
        if answer.raised:
            state: State = "wrong" if issubclass(answer.raised, BadInput) else "unavailable"
            yield job.component, Finding(state, str(answer.failure))
        elif answer.failure is not None:
            last = last_line(answer.failure)
            yield job.component, Finding("fails", f"{job.component.name}: {what}: {last}")
        elif answer.value is not None:
            yield job.component, answer.value


# -- the child's side -------------------------------------------------------------------------------------------------


def work(job: Job) -> Finding | None:
    from harness.contest.builder import check_available
    from harness.contract.entry import WrongTarget
    from harness.contract.problems import SuiteError
    from harness.machine import progress

    progress.use(progress.Silent())  # the run repeats it
    try:
        if job.split:
            return _media(job)
        check_available(job.component)
        found = job.component.entry.load(job.component.section)
        return _arguments(job.component, found) if job.component.kind == "python" else None
    except WrongTarget as problem:
        return Finding("wrong", str(problem)) if job.component.kind == "python" else Finding("fails", str(problem))
    except SuiteError as error:  # of an annotation file
        return Finding("wrong", str(error), error.problems)


def _arguments(component: Component, found: Any) -> Finding | None:
    """Check that its constructor takes the arguments."""
    import inspect

    from harness.contest.builder import OWN

    signature = inspect.signature(found)
    instruments = [need for need in component.entry.needs if need in ("encoder", "captioner")]
    offered = [name for name in OWN if name in signature.parameters]
    try:
        signature.bind(**{**component.arguments, **dict.fromkeys([*instruments, *offered])})
    except TypeError as error:
        given = ", ".join([*component.arguments, *instruments]) or "none"
        return Finding("wrong", f"{component.entry.target}{signature} is given {given}: {error}; correct `arguments`")
    return None


def _media(job: Job) -> Finding | None:
    """Read a split's annotations and look for its files."""
    from harness.contest.builder import open_dataset
    from harness.data.media import Files

    split = open_dataset(job.component, job.data).split(job.split)  # type: ignore[arg-type]
    files = split.items.fetch
    if not isinstance(files, Files):
        return None
    paths = [files.paths[place] for place in split.items.positions[:MOST_FILES].tolist()]
    absent = [path for path in paths if not path.exists()]
    if not absent:
        return None
    named = ", ".join(map(shown, absent[:SHOWN])) + (", …" if len(absent) > SHOWN else "")
    text = f"{len(absent):,} of {len(paths):,} {files.modality} files of {job.split} are not there: {named}"
    return Finding("unavailable" if len(absent) == len(paths) else "remark", f"{job.component.name}: {text}")

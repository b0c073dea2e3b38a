"""`python -m harness data list|check|path|get`: what there is, whether it is all there, and how to get it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.machine.files import is_folder

if TYPE_CHECKING:  # the command line is built for every verb: nothing is imported for those that don't need it
    from harness.data.check import Finding
    from harness.suite.registry import Entry

FINE, WRONG, BAD_INPUT, ABSENT = 0, 1, 2, 3
Say = Callable[[str], None]


def add_options(verb: argparse.ArgumentParser) -> None:
    actions = verb.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="every dataset: licence, where from, size, whether it is here")
    check = actions.add_parser("check", help="count what is there against what should be; find what is wrong with it")
    check.add_argument("--suite", type=Path, metavar="FILE", help="NAME is a dataset of this suite")
    check.add_argument(
        "--decode",
        action="store_true",
        help="decode every file, too: finds broken ones, and the same bytes in two splits (verdicts are remembered)",
    )
    path = actions.add_parser("path", help="where a dataset lies, or should")
    get = actions.add_parser("get", help="fetch what may be copied; say where the rest is to be had")
    for action in (check, path, get):
        action.add_argument("name", metavar="NAME")
    for action in (listing, check, path, get):
        action.add_argument(
            "--data", type=Path, metavar="ROOT", help="where datasets lie (default: $HARNESS_DATA or ./data)"
        )


def call(options: argparse.Namespace, data: Path, cache: Path, say: Say, complain: Say) -> int:
    from harness.contract.dataset import (
        Unavailable,  # numpy comes with it, and `run` must settle the threads before that
    )
    from harness.contract.problems import SuiteError

    try:
        if options.action == "list":
            return _list(data, say)
        if options.action == "check":
            return _check(options, data, cache, say)
        entry = _entry(options.name)
        return _path(entry, data, say, complain) if options.action == "path" else _get(entry, data, say)
    except (BadName, SuiteError) as problem:
        complain(str(problem))
        return BAD_INPUT
    except Unavailable as reason:
        complain(str(reason))
        return ABSENT


class BadName(Exception):
    """There is no such dataset."""


def _entry(name: str) -> Entry:
    from harness.contract.problems import meant
    from harness.suite.registry import kinds

    known = kinds("datasets")
    if name not in known:
        raise BadName(f"no dataset {name[:80]!r}; expected one of {', '.join(known)}{meant(name, known)}")
    return known[name]


def _list(data: Path, say: Say) -> int:
    from harness.contract.entry import folder_state
    from harness.data.datasets.sources import SOURCES
    from harness.suite.registry import kinds

    for name, entry in kinds("datasets").items():
        if entry.generated or not entry.folder:
            say(f"{name:11} {'made by a program, nothing to get' if entry.generated else 'yours'}: {entry.about}")
            continue
        say(f"{name:11} {folder_state(data / entry.folder)}: {data / entry.folder}")
        source = SOURCES.get(name)
        if source is None:
            say(f"{'':11} {entry.obtain}")
            continue
        say(f"{'':11} size:    {source.size}")
        say(f"{'':11} licence: {source.licence}")
        say(f"{'':11} from:    {source.where}")
    return FINE


def _check(options: argparse.Namespace, data: Path, cache: Path, say: Say) -> int:
    from harness.data.check import findings
    from harness.machine import progress

    progress.use(progress.choose())
    dataset, target = _of_suite(options.suite, options.name, data) if options.suite else _built(options.name, data)
    say(f"{options.name}: {dataset.modality}{', made by a program' if dataset.generated else ''}")
    return told(findings(dataset, target, options.decode, cache), say)


def told(found: Iterable[Finding], say: Say) -> int:
    """Say what was found; the exit code."""
    wrong = 0
    for finding in found:
        say(finding.text)
        wrong += finding.wrong
    say(f"{wrong} findings need a look" if wrong else "nothing wrong with it")
    return WRONG if wrong else FINE


def _built(name: str, data: Path) -> tuple[Any, str]:
    from harness.contest.builder import open_dataset
    from harness.suite.spec import Component

    entry = _entry(name)
    needed = [key for key, field in entry.settings.model_fields.items() if field.is_required()]
    if needed:
        raise BadName(f"{name} needs {', '.join(needed)}: define it in a suite, and name that with --suite FILE")
    return open_dataset(Component(name, "datasets", name, dict(entry.settings()), None, entry), data), entry.target


def _of_suite(path: Path, name: str, data: Path) -> tuple[Any, str]:
    from harness.contest.builder import open_dataset
    from harness.contract.problems import meant
    from harness.suite import load
    from harness.suite.reading import read_dataset

    dataset = read_dataset(path, name)
    if dataset is None:  # it has no name of its own under `datasets`: look through the tasks and what they use
        suite = load(path)
        used = [part for task in suite.tasks for part in (task.dataset, task.encoder, task.captioner)]
        used += [part for spec in suite.retrievers for part in (spec.component, spec.encoder, spec.captioner)]
        found = {part.name: part for each in used if each for part in each.parts() if part.section == "datasets"}
        if name not in found:
            raise BadName(
                f"{path}: no task uses a dataset {name[:80]!r}; it uses {', '.join(found)}{meant(name, found)}"
            )
        dataset = found[name]
    return open_dataset(dataset, data), dataset.entry.target


def _path(entry: Entry, data: Path, say: Say, complain: Say) -> int:
    if not entry.folder:
        complain(f"{entry.kind} lies nowhere: {entry.about}")
        return FINE if entry.generated else BAD_INPUT
    say(str((data / entry.folder).absolute()))
    return FINE if is_folder(data / entry.folder) else ABSENT


def _get(entry: Entry, data: Path, say: Say) -> int:
    from harness.contract.dataset import Unavailable
    from harness.data.datasets.sources import SOURCES

    source = SOURCES.get(entry.kind)
    if source is None:
        say(f"{entry.kind}: nothing to get ({entry.about or entry.obtain})")
        return FINE
    if source.copy is None:
        raise Unavailable(
            f"{entry.kind}: no copy may be handed on ({source.licence}); get it from {source.where}, and put it into "
            f"{data / entry.folder}"
        )
    from harness.data.datasets.fetching import fetch

    target = fetch(source.copy, data / entry.folder)
    say(f"{target}: {source.copy.brings} ({source.licence})")
    say(f"still to get: {source.copy.rest}; unpack into {data / entry.folder}")
    return FINE

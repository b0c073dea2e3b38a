"""One call of `run`: settles the machine, keeps the journal, runs the cells, reports, chooses the exit code."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness import report
from harness.contest.ahead import Ahead, nothing
from harness.contest.recording import Session
from harness.contest.runner import Outcome, run
from harness.contract.problems import BadInput
from harness.machine import compute, environment, files, memory
from harness.machine.progress import say
from harness.store.artifacts import Store
from harness.store.run_folder import FolderBusy, RunFolder
from harness.suite.spec import Suite

NONE: Mapping[str, str] = MappingProxyType({})


def run_suite(
    suite: Suite,
    out: Path,
    data: Path,
    cache: Path,
    options: argparse.Namespace,
    fails: Mapping[str, str] = NONE,
    ahead: Ahead | None = None,
) -> int:
    folder = RunFolder(out)
    stranger = folder.stranger()
    if stranger:
        raise BadInput(
            f"--out {out}: {stranger!r} is in it, and no run.json of an earlier run; expected a new or empty folder, "
            "or that of an earlier run; name another, so that nothing of yours is overwritten"
        )
    _writable(out, "--out")
    _writable(cache, "HARNESS_CACHE")
    try:
        with folder.locked():
            return _locked(suite, folder, data, cache, options, fails, ahead or nothing())
    except (FolderBusy, compute.NoDevice) as problem:
        raise BadInput(str(problem)) from problem


def _locked(
    suite: Suite,
    folder: RunFolder,
    data: Path,
    cache: Path,
    options: argparse.Namespace,
    fails: Mapping[str, str],
    ahead: Ahead,
) -> int:
    compute.configure(options.device, options.threads, options.choices)
    begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    tables = os.environ.get("HARNESS_TABLES", "all")
    wanted = tables != "0"  # the gate, which runs a suite many times, has no use for them
    session = Session(
        id=f"{begun}-{os.getpid()}",
        suite=suite,
        folder=folder,
        store=Store(cache, options.fresh),
        data=data,
        environment=environment.describe(),
        fresh=options.fresh,
        fails=fails,
        ahead=ahead,
        drawn=tables not in ("0", "text"),
    )
    journal = folder.journal()
    entry: dict[str, Any] = {
        "id": session.id,
        "started": begun,
        "ended": None,
        "exit": None,
        "command": sys.argv,
        "only": options.only,
        "environment": session.environment,
    }
    about: dict[str, Any] = {"suite": suite.name, "about": suite.about, "cells": [cell.file for cell in suite.cells()]}
    about |= {"ablation": suite.ablation} if suite.ablation else {}
    about |= {"compare_to": suite.compare_to} if suite.compare_to else {}
    folder.write_journal({**about, "sessions": [*journal["sessions"], entry]})  # first: it marks the folder as a run's
    files.write(folder.root / "suite.yaml", suite.text.encode())
    outcome = run(session, (lambda: _report(session)) if options.page and session.drawn else None)
    code = _verdict(outcome, options.strict)
    written = _report(session) if wanted else None
    entry |= {
        "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "exit": code,
        "reused": outcome.reused,
        "broken": list(outcome.broken),
        "peak_mb": memory.highest(),
    }
    folder.write_journal({**about, "sessions": [*journal["sessions"], entry]})
    if written:
        cutoffs = report.cutoffs([record for row in written.rows for record in row.records])
        # Last: its reader may close the pipe.
        report.show(written.rows, cutoffs, session.id, about=suite.about, verdict=written.verdict)
    for problem in outcome.broken:
        say(f"BROKEN: {problem}")
    say(f"{_sums(outcome)}; at most {memory.highest() / 1e3:.1f} GB of memory")
    page = f"{folder.root / report.PAGE}: open it in a browser; tables/ and plots/ lie beside it"
    say(page if session.drawn else str(folder.root))
    return code


def _report(session: Session) -> report.Written:
    """Tables, plots and the page of what is finished: this call's cells, in the suite's order."""
    found = [session.folder.record(cell.file) for cell in session.suite.cells()]
    records = [each for each in found if each is not None]
    return report.write(session.folder, session.suite.name, records, session.id, drawn=session.drawn)


def _verdict(outcome: Outcome, strict: bool) -> int:
    if outcome.failed or outcome.broken:
        return 1
    return 3 if strict and outcome.unavailable else 0


def _sums(outcome: Outcome) -> str:
    parts = [(outcome.reused, "reused"), (outcome.failed, "failed"), (outcome.unavailable, "unavailable")]
    return ", ".join(f"{count} {word}" for count, word in parts if count) or "all cells measured"


def _writable(folder: Path, name: str) -> None:
    """A place that can't be written is found out now, not after an hour."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.write(folder / ".writable", b"")
        (folder / ".writable").unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"{name} {folder}: can't write there ({error.strerror}); name another folder") from error

"""`harness check`: is a run still as good as its reference, a version as fast as an earlier one?

What it needs is imported when it is called.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.contract.problems import BadInput
from harness.machine import files

if TYPE_CHECKING:
    from harness.check.verdict import Verdict
    from harness.store.run_folder import RunFolder


def add_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("what", type=Path, metavar="RUN|SUITE", help="a run's folder, or a suite to be run now")
    held = verb.add_mutually_exclusive_group(required=True)
    held.add_argument("--against", type=Path, metavar="REFERENCE", help="compare answers with those of a reference")
    held.add_argument("--base", metavar="REVISION", help="compare rates with those of a git revision, run side by side")
    verb.add_argument(
        "--margin",
        type=_percent,
        metavar="N",
        help="hit@k may drop by so many points, with --base rates by N %% (default: the suite's, or 1 and 5)",
    )
    verb.add_argument("--update", action="store_true", help="show every difference, then make the run the reference")
    verb.add_argument(
        "--pairs", type=_pairs, default=12, metavar="N", help="of runs, with --base (default and least: 12)"
    )
    verb.add_argument("--only", metavar="PATTERN", help="of a suite: only these retrievers, tasks or cells")
    verb.add_argument("--threads", metavar="N", help="of a suite: for every contestant (default: all cores)")
    verb.add_argument(
        "--inconclusive",
        choices=["fail", "ok"],
        default="fail",
        help="whether what can't be told ends with 3 or with 0",
    )
    verb.add_argument("--markdown", type=Path, metavar="FILE", help="the verdicts, for a job's summary")
    verb.add_argument("--junit", type=Path, metavar="FILE", help="the verdicts, as XML that CI systems show")


def _percent(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no margin: expected a number from 0 to 100")
    return number / 100


def _pairs(text: str) -> int:
    if not text.isdecimal() or not 12 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of pairs: expected 12 to 10000")
    return int(text)


def call(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """The exit code; `BadInput` where what is to be compared isn't sound."""
    if options.base:
        return _tell(options, _rates(options), say)
    with _run(options) as (run, store):
        return _held(options, run, store, say)


def _tell(options: argparse.Namespace, verdicts: list[Verdict], say: Callable[[str], None]) -> int:
    from harness.check import verdict

    for path, text in ((options.markdown, verdict.markdown(verdicts)), (options.junit, verdict.junit(verdicts))):
        if path is not None:
            files.write(path, text.encode())
    for each in verdicts:
        if each.state != "fine" or not options.update:
            say(f"{each.state:13}{each.cell} ({each.tier}): {each.words}")
    say(verdict.summary(verdicts))
    return verdict.exit_code(verdicts, verdict.FINE if options.inconclusive == "ok" else verdict.INCONCLUSIVE)


# -- answers -----------------------------------------------------------------------------------------------------------


@contextmanager
def _run(options: argparse.Namespace) -> Iterator[tuple[RunFolder, Path | None]]:
    """The run that is to be held against the reference; a suite is run now, in a store that begins with what the
    reference has frozen and goes with the run."""
    from harness.check import frozen, reference, versions
    from harness.store.run_folder import RunFolder

    if files.is_folder(options.what / "records"):
        yield RunFolder(options.what), None
        return
    if not options.what.is_file():
        raise BadInput(
            f"{options.what}: no run's folder (there is no records/ in it), and no suite; run a suite first, or name "
            "another"
        )
    if not options.update or (options.against / reference.MANIFEST).exists():
        reference.open_reference(options.against)
    work = Path(tempfile.mkdtemp(prefix="harness-check-"))
    try:
        frozen.thaw(options.against, work / "store")
        with _as_bad_input():
            run = versions.run_apart(Path.cwd(), options.what, work / "run", work / "store", _for_runs(options))
        yield run, work / "store"
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _held(options: argparse.Namespace, run: RunFolder, store: Path | None, say: Callable[[str], None]) -> int:
    """Against the reference, which it becomes with --update."""
    from harness.check import compare, reference, verdict
    from harness.suite.reading import read_margin
    from harness.suite.registry import kinds

    code = verdict.FINE
    if not options.update or (options.against / reference.MANIFEST).exists():
        kept = reference.open_reference(options.against)
        margin = options.margin
        if margin is None:
            margin = read_margin(kept.root / "suite.yaml").recall / 100
        code = _tell(options, list(compare.compare(kept, run, margin)), say)
    if not options.update:
        return code
    learning = [kind for kind, entry in kinds("retrievers").items() if entry.learns]
    reference.write_reference(run, options.against, store, learning)
    say(f"{options.against} holds this run now; look at what differs, then commit it")
    return verdict.FINE


# -- rates -------------------------------------------------------------------------------------------------------------


def _rates(options: argparse.Namespace) -> list[Verdict]:
    """Of the working tree against a revision."""
    from harness.check import rate, versions
    from harness.check.verdict import Verdict, named
    from harness.machine import progress
    from harness.suite.reading import read_margin

    if options.update:
        raise BadInput("--update is for --against: a revision is what it is; leave it out")
    if not options.what.is_file():
        raise BadInput(f"{options.what}: no suite; expected a YAML file for --base; name another")
    progress.use(progress.choose(False))
    margin = read_margin(options.what).rate / 100 if options.margin is None else options.margin
    with _as_bad_input():
        found, lost = versions.compare(options.what, options.base, options.pairs, _for_runs(options))
    judged = rate.judge(list(found.values()), margin)
    return [
        *(Verdict(named(*cell), "rate", *each) for cell, each in zip(found, judged, strict=True)),
        *(Verdict(named(*cell), "rate", "inconclusive", "not measured every time by both versions") for cell in lost),
    ]


def _for_runs(options: argparse.Namespace) -> list[str]:
    """The same kernels for all, and what was asked for."""
    only = ["--only", options.only] if options.only else []
    return ["--compute", "default", *only, *(["--threads", options.threads] if options.threads else [])]


@contextmanager
def _as_bad_input() -> Iterator[None]:
    from harness.check import versions

    try:
        yield
    except versions.Failed as problem:
        raise BadInput(f"a version can't be run, so there is nothing to compare: {problem}") from problem

"""`harness check`: is a run still as good as its reference, a version as fast as an earlier one?

What it needs is imported when it is called.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.contract.problems import BadInput
from harness.machine import files

if TYPE_CHECKING:
    from harness.check.verdict import Verdict


def add_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("what", type=Path, metavar="RUN|SUITE", help="a run's folder; with --base a suite")
    held = verb.add_mutually_exclusive_group(required=True)
    held.add_argument("--against", type=Path, metavar="REFERENCE", help="compare answers with those of a reference")
    held.add_argument("--base", metavar="REVISION", help="compare rates with those of a git revision, run side by side")
    verb.add_argument(
        "--margin",
        type=_percent,
        metavar="N",
        help="hit@k may drop by so many points (1), with --base rates by N %% (5)",
    )
    verb.add_argument("--update", action="store_true", help="show every difference, then make RUN the reference")
    verb.add_argument(
        "--pairs", type=_pairs, default=12, metavar="N", help="of runs, with --base (default and least: 12)"
    )
    verb.add_argument("--only", metavar="PATTERN", help="with --base: only these retrievers, tasks or cells")
    verb.add_argument("--threads", metavar="N", help="with --base: for every contestant (default: all cores)")
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
    from harness.check import verdict

    verdicts = _rates(options) if options.base else _answers(options, say)
    if verdicts is None:  # there was no reference yet
        return verdict.FINE
    for path, text in ((options.markdown, verdict.markdown(verdicts)), (options.junit, verdict.junit(verdicts))):
        if path is not None:
            files.write(path, text.encode())
    for each in verdicts:
        if each.state != "fine" or not options.update:
            say(f"{each.state:13}{each.cell} ({each.tier}): {each.words}")
    say(verdict.summary(verdicts))
    if options.update:
        _update(options, say)
        return verdict.FINE
    return verdict.exit_code(verdicts, verdict.FINE if options.inconclusive == "ok" else verdict.INCONCLUSIVE)


def _answers(options: argparse.Namespace, say: Callable[[str], None]) -> list[Verdict] | None:
    """Of a run against a reference; None where there was none and this one became it."""
    from harness.check import compare, reference
    from harness.store.run_folder import RunFolder

    if not files.is_folder(options.what / "records"):
        raise BadInput(
            f"{options.what}: no run's folder (there is no records/ in it); run a suite first, or name another"
        )
    if options.update and not (options.against / reference.MANIFEST).exists():
        _update(options, say)
        return None
    margin = compare.MARGIN if options.margin is None else options.margin
    return list(compare.compare(reference.open_reference(options.against), RunFolder(options.what), margin))


def _update(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    from harness.check.reference import write_reference
    from harness.store.run_folder import RunFolder

    write_reference(RunFolder(options.what), options.against)
    say(f"{options.against} holds this run now; look at what differs, then commit it")


def _rates(options: argparse.Namespace) -> list[Verdict]:
    """Of the working tree against a revision."""
    from harness.check import rate, versions
    from harness.check.verdict import Verdict
    from harness.machine import progress

    if options.update:
        raise BadInput("--update is for --against: a revision is what it is; leave it out")
    if not options.what.is_file():
        raise BadInput(f"{options.what}: no suite; expected a YAML file for --base; name another")
    progress.use(progress.choose(False))
    more = [
        *(["--only", options.only] if options.only else []),
        *(["--threads", options.threads] if options.threads else []),
    ]
    try:
        found, lost = versions.compare(options.what, options.base, options.pairs, ["--compute", "default", *more])
    except versions.Failed as problem:
        raise BadInput(f"a version can't be run, so there is nothing to compare: {problem}") from problem
    margin = rate.MARGIN if options.margin is None else options.margin
    judged = rate.judge(list(found.values()), margin)
    return [
        *(Verdict(_name(cell), "rate", *each) for cell, each in zip(found, judged, strict=True)),
        *(Verdict(_name(cell), "rate", "inconclusive", "not measured every time by both versions") for cell in lost),
    ]


def _name(cell: tuple[str, str, int]) -> str:
    task, retriever, seed = cell
    return f"{task} · {retriever} · seed {seed}"

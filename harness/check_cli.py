"""`harness check`: is a run still as good as its reference? What it needs is imported when it is called."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

BAD_INPUT = 2


def add_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("run", type=Path, metavar="RUN", help="a run's folder, such as results/runs/smoke")
    verb.add_argument("--against", type=Path, required=True, metavar="REFERENCE", help="the folder of a reference")
    verb.add_argument("--margin", type=_points, metavar="POINTS", help="so many points may hit@k drop (default: 1)")
    verb.add_argument("--update", action="store_true", help="show every difference, then make RUN the reference")
    verb.add_argument(
        "--inconclusive",
        choices=["fail", "ok"],
        default="fail",
        help="whether what can't be told ends with 3 or with 0",
    )
    verb.add_argument("--markdown", type=Path, metavar="FILE", help="the verdicts, for a job's summary")
    verb.add_argument("--junit", type=Path, metavar="FILE", help="the verdicts, as XML that CI systems show")


def _points(text: str) -> float:
    try:
        points = float(text)
    except ValueError:
        points = -1.0
    if not 0 <= points <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of points: expected 0 to 100")
    return points / 100


def call(options: argparse.Namespace, say: Callable[[str], None], complain: Callable[[str], None]) -> int:
    from harness.check import compare, reference, verdict
    from harness.contract.problems import BadInput
    from harness.machine import files
    from harness.store.run_folder import RunFolder

    if not files.is_folder(options.run / "records"):
        complain(f"{options.run}: no run's folder (there is no records/ in it); run a suite first, or name another")
        return BAD_INPUT
    run = RunFolder(options.run)
    try:
        if options.update and not (options.against / reference.MANIFEST).exists():
            reference.write_reference(run, options.against)
            say(f"{options.against}: a new reference of {len(run.records()):,} cells; commit it")
            return verdict.FINE
        margin = compare.MARGIN if options.margin is None else options.margin
        verdicts = list(compare.compare(reference.open_reference(options.against), run, margin))
        for path, text in ((options.markdown, verdict.markdown(verdicts)), (options.junit, verdict.junit(verdicts))):
            if path is not None:
                files.write(path, text.encode())
        for each in verdicts:
            if each.state != "fine" or not options.update:
                say(f"{each.state:13}{each.cell} ({each.tier}): {each.words}")
        say(verdict.summary(verdicts))
        if options.update:
            reference.write_reference(run, options.against)
            say(f"{options.against}: is this run now; look at the differences, then commit it")
            return verdict.FINE
    except BadInput as problem:
        complain(str(problem))
        return BAD_INPUT
    return verdict.exit_code(verdicts, verdict.FINE if options.inconclusive == "ok" else verdict.INCONCLUSIVE)

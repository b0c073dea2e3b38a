"""The command line, `python -m harness VERB`. What a verb needs is imported when it is called."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from harness import check_cli, data_cli, weights_cli
from harness.contract.problems import BadInput
from harness.machine.disk import NoRoom
from harness.machine.escaping import line, terminal
from harness.machine.files import BadPath, is_folder

FINE, FAILED, BAD_INPUT, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 130
# The machine's trouble, not ours: a full disk, a folder that may not be written, a file where a folder should be.
NOT_WRITTEN = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(line(message))


def parser() -> argparse.ArgumentParser:
    top = _Parser(
        prog="python -m harness",
        description="Compare retrieval paradigms, text to image, audio and video, under one timed interface.",
        epilog="Exit codes: 0 fine, 1 a cell failed or got worse, 2 bad input, 3 unavailable under --strict or "
        "inconclusive, 130 interrupted.",
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    run = verbs.add_parser("run", help="run a suite: prepare, time, score, report")
    _suite_options(run)
    run.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    run.add_argument("--threads", type=_positive, metavar="N", help="for every contestant (default: all cores)")
    run.add_argument("--compute", metavar="CHOICES", help="kernels and threads instead of measured ones: see README")
    run.add_argument("--strict", action="store_true", help="end with 3 if anything is unavailable")
    run.add_argument("--fresh", action="store_true", help="make all that the cells need anew, and measure them again")
    run.add_argument("--page", action="store_true", help="make the page again after each contest: report.html")
    run.add_argument("--quiet", action="store_true", help="no progress, only the table")
    run.set_defaults(call=_run)

    plan = verbs.add_parser("plan", help="show what a suite would do: cells, what is done, what is missing")
    _suite_options(plan)
    plan.set_defaults(call=_plan)

    report = verbs.add_parser("report", help="make the tables and plots of runs again, and show them side by side")
    report.add_argument("folders", type=Path, nargs="+", metavar="RUN", help="a run's folder: results/runs/audio")
    report.add_argument("--pairs", action="store_true", help="compare all pairs of contestants: tables/paired.md")
    report.set_defaults(call=_report)

    export = verbs.add_parser("export", help="write a run's answers for other tools")
    export.add_argument("folder", type=Path, metavar="RUN", help="a run's folder, such as results/runs/audio")
    export.add_argument("--trec", type=Path, metavar="FOLDER", required=True, help="there, in the format of trec_eval")
    export.set_defaults(call=_export)

    check = verbs.add_parser("check", help="the gate: is a run still as good as its reference?")
    check_cli.add_options(check)
    check.set_defaults(call=lambda options: check_cli.call(options, _say))

    data = verbs.add_parser("data", help="datasets on this disk: list, check, path, get")
    data_cli.add_options(data)
    data.set_defaults(call=_data)

    weights = verbs.add_parser("weights", help="checkpoints on this disk: list, get, check")
    weights_cli.add_options(weights)
    weights.set_defaults(call=lambda options: weights_cli.call(options, _say, _complain))

    kinds = verbs.add_parser("list", help="list datasets, encoders, captioners and retrievers, or all of one of them")
    kinds.add_argument("kind", nargs="?", metavar="KIND", help="what it takes, needs and offers")
    kinds.set_defaults(call=_list)
    return top


def _suite_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("suite", metavar="SUITE", help="a YAML file, such as suites/audio.yaml")
    verb.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: results/runs/<suite's name>)")
    verb.add_argument("--data", type=Path, metavar="ROOT", help="where datasets lie (default: $HARNESS_DATA or ./data)")
    verb.add_argument("--only", metavar="PATTERN", help="only these retrievers, tasks or cells: globs, comma between")


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads: expected 1 to 1024")
    return int(text)


def entry() -> NoReturn:
    """What the shell calls, as `harness` or as `python -m harness`: the current folder is on the path for both."""
    if sys.platform == "win32":
        sys.exit("harness: this is Windows; expected Linux (macOS is untried); run it in WSL, or in a container")
    here = str(Path.cwd())
    if here not in sys.path and not sys.flags.safe_path:
        sys.path.insert(0, here)
    for stream in (sys.stdout, sys.stderr):  # letters that a terminal lacks are escaped
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    try:
        return int(options.call(options))
    except (BadPath, BadInput) as problem:
        _complain(str(problem))
        return BAD_INPUT
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except OSError as error:
        if error.errno not in NOT_WRITTEN:
            raise
        what = f"{error.filename or 'a file'}: {error.strerror}"
        _complain(f"{what}; what is finished is kept: make room or mend it, and run the same command to go on")
        return FAILED
    except NoRoom as problem:
        _complain(f"{problem}; what is finished is kept, run the same command to go on")
        return FAILED
    except KeyboardInterrupt:
        _complain("interrupted; what is finished is kept, run the same command to go on")
        return INTERRUPTED


def _complain(text: str) -> None:
    sys.stderr.write("\n".join(map(line, text.rstrip().split("\n"))) + "\n")


def _say(text: str = "") -> None:
    sys.stdout.write(terminal(text) + "\n")


def _load(options: argparse.Namespace) -> Any:
    """The suite that was asked for."""
    from harness.suite import load

    suite = load(options.suite)
    return suite.select(options.only) if options.only else suite


def _checked(suite: Any, options: argparse.Namespace, limit_s: float) -> Any:
    """What can be known before anything is made."""
    from harness.contest.checks import check
    from harness.contract.problems import SuiteError

    found = check(suite, _data_root(options), limit_s)
    if found.wrong:
        raise SuiteError(found.wrong)
    return found


def _data_root(options: argparse.Namespace) -> Path:
    return options.data or Path(os.environ.get("HARNESS_DATA") or "data")


def _cache_root() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    place = Path(os.environ.get("HARNESS_CACHE") or f"{cache}/paradigm-harness")
    try:
        return place.expanduser()
    except RuntimeError as error:
        raise BadPath(f"HARNESS_CACHE {place}: {error}; name a folder") from error


def _out(options: argparse.Namespace, suite: Any) -> Path:
    return options.out or Path("results/runs") / suite.name


def _run(options: argparse.Namespace) -> int:
    suite = _load(options)
    from harness.contest import calibration
    from harness.machine import compute, interruption, progress

    progress.use(progress.choose(options.quiet))
    interruption.listen()
    threads = options.threads or compute.available_threads()
    try:
        request = options.compute or os.environ.get("HARNESS_COMPUTE")
        options.choices = calibration.settle(_cache_root(), threads, request, progress.say)
    except calibration.BadChoice as problem:
        _complain(str(problem))
        return BAD_INPUT
    compute.prepare_environment(threads, options.choices.spin)
    found = _checked(suite, options, suite.limit_s)
    from harness.contest import missing, plan
    from harness.contest.ahead import Ahead

    left = plan.to_do(suite, found, None if options.fresh else _out(options, suite))
    progress.say(plan.expected(suite, left, _cache_root(), threads, options.fresh).sentence)
    from harness.contest.session import run_suite

    ahead = Ahead(left, lambda cells: plan.expected(suite, cells, _cache_root(), threads))
    code = run_suite(suite, _out(options, suite), _data_root(options), _cache_root(), options, found.fails, ahead)
    for each in missing.summary(
        found.missing, len(plan.unavailable(suite, found)), f"python -m harness plan {options.suite}"
    ):
        progress.say(each)
    return code


def _plan(options: argparse.Namespace) -> int:
    from harness.contest.checks import PLAN_S
    from harness.contest.plan import show

    suite = _load(options)
    found = _checked(suite, options, PLAN_S)
    for each in show(suite, found, _out(options, suite), _cache_root()):
        _say(each)
    return FINE


def _report(options: argparse.Namespace) -> int:
    for place in options.folders:
        if not is_folder(place / "records"):
            _complain(f"{place}: no run's folder (there is no records/ in it); run a suite first, or name another")
            return BAD_INPUT
    from harness.machine import progress
    from harness.report.several import remake

    progress.use(progress.Plain())
    remake(options.folders, options.pairs)
    return FINE


def _export(options: argparse.Namespace) -> int:
    from harness.results import trec

    written = trec(options.folder, options.trec)
    _say(f"{options.trec}: {len(written)} files, runs/ and qrels/")
    return FINE


def _data(options: argparse.Namespace) -> int:
    return data_cli.call(options, _data_root(options), _cache_root(), _say, _complain)


def _list(options: argparse.Namespace) -> int:
    from harness.suite import listing

    for each in listing.one(options.kind) if options.kind else listing.every():
        _say(each)
    return FINE

"""Runs two versions of a repository, each from its own checkout in fresh processes, and brings back their rates.

The base is checked out beside the working tree, which is run as it is. Each version prepares its contestants once, in a
store of its own; after that a run does nothing but load them and time them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.check.rate import Block, orders
from harness.contract.problems import BadInput
from harness.machine import environment
from harness.machine.progress import say, track
from harness.store.run_folder import RunFolder

Cell = tuple[str, str, int]  # task, retriever, seed


class Failed(Exception):
    """A version could not be run; the message holds the end of what it said."""


@dataclass(frozen=True)
class Version:
    name: str  # A, the base; B, what is checked
    root: Path  # of its checkout
    suite: Path  # below the root
    work: Path  # its store, and the folders of its runs

    def run(self, number: int, options: Sequence[str]) -> dict[Cell, float]:
        """The rate of each cell that could be measured, in a fresh process: that of its fastest round.

        What else a machine does only ever slows a round, so that the fastest says most about the code (Chen and Revels,
        2016); a version that is slower is so in all of its rounds.
        """
        run = run_apart(self.root, self.suite, self.work / f"{number}", self.work / "store", options)
        rates: dict[Cell, float] = {}
        for each in run.records():
            if each["status"] == "ok" and each["speed"] and "offline" in each["speed"]:
                rate = max(each["speed"]["offline"]["qps"]["rounds"])
                rates[each["task"], each["retriever"], each["seed"]] = rate
        shutil.rmtree(run.root, ignore_errors=True)
        return rates


def run_apart(root: Path, suite: Path, out: Path, store: Path, options: Sequence[str]) -> RunFolder:
    """The folder of a run of the version that lies at `root`, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", str(suite), "--out", str(out), "--quiet", *options],
        cwd=root,
        env=environment.for_child(root, HARNESS_CACHE=str(store), HARNESS_TABLES="0"),
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 1, 3) or not any((out / "records").glob("*.json")):
        raise Failed(f"{root}: exit code {done.returncode}:\n{(done.stderr or done.stdout)[-2000:]}")
    return RunFolder(out)


def compare(
    suite: Path, base: str, pairs: int, options: Sequence[str], seed: int = 0
) -> tuple[dict[Cell, list[Block]], list[Cell]]:
    """The blocks of each cell that both versions could measure every time, and the cells that one of them couldn't."""
    with _checked_out(suite, base) as versions:
        for version in versions.values():
            say(f"preparing {'the base' if version.name == 'A' else 'this version'}: {version.root}")
            version.run(0, options)
        blocks = []
        plan = orders(-(-pairs // 2), np.random.default_rng(seed))
        for number, order in enumerate(track(plan, "blocks of four runs"), 1):
            blocks.append((order, [versions[name].run(number, options) for name in order]))
    return _by_cell(blocks)


def _by_cell(
    blocks: Sequence[tuple[str, Sequence[Mapping[Cell, float]]]],
) -> tuple[dict[Cell, list[Block]], list[Cell]]:
    every = dict.fromkeys(cell for _, runs in blocks for rates in runs for cell in rates)
    whole = [cell for cell in every if all(cell in rates for _, runs in blocks for rates in runs)]
    found = {
        cell: [Block(order, tuple(rates[cell] for rates in runs)) for order, runs in blocks]  # type: ignore[arg-type]
        for cell in whole
    }
    return found, [cell for cell in every if cell not in found]


@contextmanager
def _checked_out(suite: Path, base: str) -> Iterator[dict[str, Version]]:
    """The base in a worktree of its own, which goes afterwards, and the working tree as it is."""
    root = Path(_git(suite.resolve().parent, "rev-parse", "--show-toplevel"))
    commit = _git(root, "rev-parse", "--verify", "--end-of-options", f"{base}^{{commit}}")
    place = suite.resolve().relative_to(root.resolve())
    work = Path(tempfile.mkdtemp(prefix="harness-check-"))
    try:
        _git(root, "worktree", "add", "--detach", str(work / "base"), commit)
        if not (work / "base" / place).is_file():
            raise BadInput(
                f"{place} isn't in {base}; expected a suite that both versions have; name another or commit it"
            )
        _announce(work / "base")
        yield {
            name: Version(name, checkout, checkout / place, work / name)
            for name, checkout in (("A", work / "base"), ("B", root))
        }
    finally:
        subprocess.run(
            ["git", "-C", str(root), "worktree", "remove", "--force", str(work / "base")], capture_output=True
        )
        shutil.rmtree(work, ignore_errors=True)


def _announce(checkout: Path) -> None:
    """The base's own entry points, where it has any: installed ones are those of the working tree."""
    if (checkout / "pyproject.toml").is_file():
        script = "import setuptools; setuptools.setup()"
        command = [sys.executable, "-c", script, "-q", "egg_info"]
        subprocess.run(command, cwd=checkout, capture_output=True)


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)
    except OSError as error:
        raise BadInput(
            f"git can't be run ({error.strerror}); install it: versions are compared from its history"
        ) from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BadInput(
            f"{folder}: git {' '.join(arguments[:2])} says: {said[-1] if said else 'nothing'}; expected a repository "
            "that holds the suite, and a revision that it knows; correct --base"
        )
    return done.stdout.strip()

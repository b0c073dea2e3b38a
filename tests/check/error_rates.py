"""How often the gate is wrong: real rounds, resampled thousands of times, judged as `check` judges.

    python tests/check/error_rates.py measure    runs real jobs for an hour or more: results/gate-rounds.json
    python tests/check/error_rates.py            computes results/gate.md from that file, in about a minute

`test_error_rates.py` computes some of it again. A measurement that is stopped goes on with the next job.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from harness.check import compare, versions
from harness.check.rate import MARGIN, Block, floor, judge, noise
from harness.machine import environment
from harness.machine.progress import say
from harness.score import statistics

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results"
ROUNDS = RESULTS / "gate-rounds.json"
JOBS, BLOCKS = 20, 6  # real A/A jobs; twelve pairs each
SLOWER = [0.7, 0.9]  # shares of the rate

RESAMPLED = 4_000  # jobs, of each kind
QUERIES, PAIRS = 1_000, 2_000  # of a retriever's two runs, simulated
STATES = ("regression", "inconclusive", "fine")
QUIET = 0.2  # a noise floor below which a slow-down by 30 % has to be seen

Job = dict[str, list[Block]]  # what each cell was measured at


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure() -> None:
    """20 jobs of a version against itself; one each against a retriever that is really slower."""
    kept: dict[str, Any] = json.loads(ROUNDS.read_text()) if ROUNDS.exists() else {"jobs": []}
    left = [1.0] * JOBS + SLOWER
    for done in kept["jobs"]:
        left.remove(done["rate of B"])
    for share in left:
        blocks = _job(share, len(kept["jobs"]))
        job = {"rate of B": share, "others": environment.load(), "cells": {name: blocks[name] for name in blocks}}
        described = {**environment.describe(), "compute": "default", "threads": 1}
        kept = {"environment": kept.get("environment", described), "jobs": [*kept["jobs"], job]}
        ROUNDS.write_text(_lines(kept))
        say(f"job {len(kept['jobs'])} of {JOBS + len(SLOWER)}: {judge(list(blocks.values()))}")


def _job(share: float, seed: int) -> Job:
    """As `check noise.yaml --base HEAD --only … --threads 1`, in a repository made for it."""
    folder = Path(tempfile.mkdtemp(prefix="error-rates-"))
    try:
        for name in ("noise.yaml", "works.py"):
            shutil.copy(HERE / name, folder / name)
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        for command in (["init"], ["add", "."], ["commit", "-m", "base"]):
            subprocess.run(["git", *who, *command], cwd=folder, check=True, capture_output=True)
        works = folder / "works.py"
        works.write_text(works.read_text().replace("SHARE = 1.0", f"SHARE = {share}"))
        options = ["--compute", "default", "--threads", "1", "--only", "dual-*" if share == 1 else "works"]
        found, _ = versions.compare(folder / "noise.yaml", "HEAD", 2 * BLOCKS, options, seed)
        return {cell[1]: blocks for cell, blocks in found.items()}
    finally:
        shutil.rmtree(folder)


def _lines(kept: dict[str, Any]) -> str:
    """JSON with a line a job, rates to five digits."""
    for job in kept["jobs"]:
        for name, blocks in job["cells"].items():
            job["cells"][name] = [[order, [float(f"{rate:.5g}") for rate in rates]] for order, rates in blocks]
    jobs = ",\n".join(json.dumps(job) for job in kept["jobs"])
    return f'{{"environment": {json.dumps(kept["environment"])},\n"jobs": [\n{jobs}\n]}}\n'


# -- resampling --------------------------------------------------------------------------------------------------------


def measured() -> list[Job]:
    """The A/A jobs."""
    return [_blocks(job) for job in json.loads(ROUNDS.read_text())["jobs"] if job["rate of B"] == 1]


def really_slower() -> dict[float, list[Block]]:
    jobs = json.loads(ROUNDS.read_text())["jobs"]
    return {job["rate of B"]: _blocks(job)["works"] for job in jobs if job["rate of B"] != 1}


def _blocks(job: dict[str, Any]) -> Job:
    return {name: [Block(order, tuple(rates)) for order, rates in blocks] for name, blocks in job["cells"].items()}


def quiet(jobs: Sequence[Job]) -> list[Job]:
    """Those in which the gate itself found little noise in every cell."""
    return [job for job in jobs if max(floor(noise(blocks)) for blocks in job.values()) < np.log1p(QUIET)]


def resampled(jobs: Sequence[Job], share: float, count: int, rng: np.random.Generator) -> Counter[str]:
    """Verdicts on jobs whose blocks are drawn from all real ones, all cells of a block together. Which of a block's
    versions is called A is drawn, too, so that nothing differs but one cell, in which B has this share of its rate;
    with a share of 1 the worst verdict of any cell counts.
    """
    cells = list(jobs[0])
    found: Counter[str] = Counter()
    for number in range(count):
        slowed = cells[number % len(cells)]
        drawn = [(rng.integers(len(jobs)), rng.integers(BLOCKS), rng.integers(2)) for _ in range(BLOCKS)]
        made = [
            [_slowed(jobs[job][cell][block], bool(flip), share if cell == slowed else 1) for job, block, flip in drawn]
            for cell in cells
        ]
        states = [state for state, _ in judge(made)]
        found[min(states, key=STATES.index) if share == 1 else states[cells.index(slowed)]] += 1
    return found


def _slowed(block: Block, flip: bool, share: float) -> Block:
    order = block.order.translate(str.maketrans("AB", "BA")) if flip else block.order
    rates = [rate * (share if name == "B" else 1) for name, rate in zip(order, block.rates, strict=True)]
    return Block(order, tuple(rates))  # type: ignore[arg-type]


def interval(count: int, of: int) -> tuple[float, float]:
    """Clopper and Pearson's, 95 %."""
    found = stats.binomtest(count, of).proportion_ci(0.95, "exact")
    return found.low, found.high


def recalls(drop: float, pairs: int, rng: np.random.Generator) -> tuple[Counter[str], float]:
    """Verdicts on two runs of a retriever that answers 60 % right and loses this share; how often the interval held."""
    found: Counter[str] = Counter()
    held = 0
    for _ in range(pairs):
        was = rng.random(QUERIES) < 0.6
        odds = np.where(was, (0.03 + drop) / 0.6, 0.03 / 0.4)  # of another outcome: 3 % are gained in any case
        now = was ^ (rng.random(QUERIES) < odds)
        difference = statistics.paired_difference(now.astype(float), was.astype(float), np.arange(QUERIES))
        found[compare.judge("hit@1", float(was.mean()), difference, compare.MARGIN, QUERIES)[0]] += 1
        held += difference.low <= -drop <= difference.high
    return found, held / pairs


# -- the page ----------------------------------------------------------------------------------------------------------


def page() -> str:
    rng = np.random.default_rng(0)
    kept, jobs = json.loads(ROUNDS.read_text()), measured()
    where, calm = kept["environment"], quiet(jobs)
    floors = [100 * np.expm1(floor(noise(blocks))) for job in jobs for blocks in job.values()]
    loads = [job["others"][0] for job in kept["jobs"] if job["others"]]
    cells = len(jobs[0])
    return "\n".join(
        [
            "# How often the gate is wrong",
            "",
            "Made by `python tests/check/error_rates.py` from `results/gate-rounds.json`, which `error_rates.py "
            f"measure` wrote: {len(jobs)} real jobs of `check noise.yaml --base HEAD`, both versions the same code, "
            f"{cells} dual towers each, {2 * BLOCKS} pairs, one thread. {where['processor']}, {where['cores']} cores, "
            f"commit {where['commit'][:7]}. Other processes were busy meanwhile: load {min(loads):.1f} to "
            f"{max(loads):.1f}, noise that the gate itself found ±{min(floors):.0f} to ±{max(floors):.0f} % (median "
            f"±{np.median(floors):.0f} %). Margin: {100 * MARGIN:g} %.",
            "",
            "## The real jobs",
            "",
            *_table(["jobs", *STATES], [[f"A/A, {len(jobs)} × {cells} cells", *_real(jobs)]]),
            "",
            *(
                f"- really {100 * (1 - share):.0f} % slower: {': '.join(judge([blocks])[0])}"
                for share, blocks in really_slower().items()
            ),
            "",
            f"## Resampled, {RESAMPLED:,} jobs a row",
            "",
            "Whole blocks are drawn from all jobs, names A and B by chance. *Quiet*: only from the "
            f"{len(calm)} jobs in which the gate found less than ±{100 * QUIET:.0f} % of noise. Noise above the margin "
            "leaves most inconclusive (exit code 3), and nothing fine; where other work takes a part of the machine, "
            "also some of those that are slower by 30 %.",
            "",
            *_table(["blocks", *STATES], [*_rows("all", jobs, rng), *_rows("quiet", calm, rng)]),
            "",
            f"## Recall, {PAIRS:,} simulated pairs of runs a row",
            "",
            f"{QUERIES:,} queries, 60 % right before, 3 % gained by chance, margin {100 * compare.MARGIN:g} point.",
            "",
            *_table(
                ["true drop", *STATES, "interval holds it"], [_dropped(drop, rng) for drop in (0, 0.01, 0.03, 0.05)]
            ),
            "",
        ]
    )


def _real(jobs: Sequence[Job]) -> list[str]:
    found = Counter(state for job in jobs for state, _ in judge(list(job.values())))
    return [str(found[state]) for state in STATES]


def _rows(name: str, jobs: Sequence[Job], rng: np.random.Generator) -> list[list[str]]:
    what = {1.0: "A/A, any cell", 0.9: "one cell 10 % slower", 0.7: "one cell 30 % slower"}
    return [
        [f"{name}: {words}", *_shares(resampled(jobs, share, RESAMPLED, rng), RESAMPLED)]
        for share, words in what.items()
        if jobs
    ]


def _dropped(drop: float, rng: np.random.Generator) -> list[str]:
    found, held = recalls(drop, PAIRS, rng)
    return [f"{100 * drop:.0f} points", *_shares(found, PAIRS), f"{100 * held:.1f} %"]


def _shares(found: Counter[str], of: int) -> list[str]:
    percent = [[100 * each for each in (found[state] / of, *interval(found[state], of))] for state in STATES]
    return [f"{value:.2f} % [{low:.2f}, {high:.2f}]" for value, low, high in percent]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


if __name__ == "__main__":
    if sys.argv[1:] == ["measure"]:
        measure()
    (RESULTS / "gate.md").write_text(page())

"""How often the gate is wrong: real rounds, resampled thousands of times, judged as `check` judges.

python tests/check/error_rates.py measure    runs real jobs for about an hour; adds them to results/gate-rounds.json
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness.check import versions
from harness.check.rate import Block, judge
from harness.machine import environment
from harness.machine.progress import say

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results"
ROUNDS = RESULTS / "gate-rounds.json"
JOBS, BLOCKS = 20, 6  # real A/A jobs; twelve pairs each
SLOWER = {"thirty": 0.7, "ten": 0.9}  # shares of the rate

Job = dict[str, list[Block]]  # what each cell was measured at


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure() -> None:
    """20 jobs of a version against itself; one each against a retriever that is really slower."""
    kept: dict[str, Any] = json.loads(ROUNDS.read_text()) if ROUNDS.exists() else {"jobs": []}
    for number in range(len(kept["jobs"]), JOBS + len(SLOWER)):
        share = ([1.0] * JOBS + list(SLOWER.values()))[number]
        blocks = _job(share, number)
        job = {"rate of B": share, "others": environment.load(), "cells": {name: blocks[name] for name in blocks}}
        described = {**environment.describe(), "compute": "default", "threads": 1}
        kept = {"environment": kept.get("environment", described), "jobs": [*kept["jobs"], job]}
        ROUNDS.write_text(_lines(kept))
        say(f"job {number}: {judge(list(blocks.values()))}")


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


if __name__ == "__main__":
    measure()

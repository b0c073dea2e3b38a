"""How soon the command line answers: what waits for torch is never `--help` or `plan`."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from runs import ROOT, command, environment


def fastest(arguments: list[str], cache: Path, tries: int = 5) -> float:
    """The least of a few: what it takes when nobody else takes the machine."""
    taken = []
    for _ in range(tries):
        begun = time.perf_counter()
        subprocess.run(arguments, env=environment(cache), cwd=ROOT, check=True, capture_output=True, timeout=60)
        taken.append(time.perf_counter() - begun)
    return min(taken)


def test_help_and_plan_start_quickly(tmp_path: Path) -> None:
    assert fastest(command("--help"), tmp_path) < 0.3
    assert fastest(command("plan", "suites/audio.yaml"), tmp_path) < 0.5

"""Do two runs of one suite order the retrievers alike, and do their intervals overlap?

    python -m harness run suites/audio.yaml --out one        the second takes the time of the contests alone
    python -m harness run suites/audio.yaml --out two
    python tests/bench/two_runs.py one two

An interval is that of the median of the rounds (order statistics, 95 %). Two retrievers are told apart where theirs are
apart in a run; these have to stand in the same order in the other one.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np

from harness.check.rate import median
from harness.store.run_folder import RunFolder

Rates = dict[tuple[str, str, int], np.ndarray]  # by task, retriever and seed: the rounds' rates


def rates(folder: Path) -> Rates:
    return {
        (each["task"], each["retriever"], each["seed"]): np.array(each["speed"]["offline"]["qps"]["rounds"])
        for each in RunFolder(folder).records()
        if each["status"] == "ok" and each["speed"] and each["paradigm"] != "control"
    }


def compared(one: Rates, two: Rates) -> str:
    shared = [cell for cell in one if cell in two]
    found = [{cell: median(np.log(run[cell])) for cell in shared} for run in (one, two)]
    overlap = [
        cell
        for cell in shared
        if found[0][cell].low <= found[1][cell].high and found[1][cell].low <= found[0][cell].high
    ]
    pairs = [(a, b) for a, b in combinations(shared, 2) if a[0] == b[0] and a[2] == b[2]]
    apart = [(a, b) for a, b in pairs if any(run[a].high < run[b].low or run[b].high < run[a].low for run in found)]
    alike = [(a, b) for a, b in apart if len({found[run][a].value < found[run][b].value for run in (0, 1)}) == 1]
    lines = [
        f"{len(overlap)} of {len(shared)} intervals overlap; of {len(pairs)} pairs of retrievers {len(apart)} are told "
        f"apart by one of the runs, and {len(alike)} of these stand in the same order in both"
    ]
    lines += [f"  {a[1]} and {b[1]} at {a[0]}: in another order" for a, b in apart if (a, b) not in alike]
    for cell in shared:
        first, second = (float(np.exp(run[cell].value)) for run in found)
        lines.append(f"  {cell[0]} {cell[1]}: {first:,.0f} and {second:,.0f}, x {second / first:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(compared(*(rates(Path(folder)) for folder in sys.argv[1:3])))  # noqa: T201

"""Ours against its rivals: ratios of rates, measured in turns in one process, as the table `results/kernels.md`.

make bench      (or: python tests/bench/ratios.py [NAME …], which prints the rows of some kernels alone)

Four columns: this machine as it is and as one without AVX-512 and bfloat16, each with one thread and with two. A column
is a process of its own, since libraries read how to compute when they are loaded. In each round both are timed in the
order A B B A or B A A B by chance, so that what else the machine does meets both alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from timeit import timeit
from typing import Any, NamedTuple

from harness.machine import environment

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "results" / "kernels.md"
ROUNDS = 10
LEAST_S = 0.01  # of one measurement: shorter calls are repeated in it
PLAIN = {  # what keeps each library from using more than AVX2
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "FAISS_OPT_LEVEL": "avx2",
}
COLUMNS = {"1 thread": ({}, 1), "2 threads": ({}, 2), "AVX2, 1 thread": (PLAIN, 1), "AVX2, 2 threads": (PLAIN, 2)}
Column = Mapping[str, Any]


class Row(NamedTuple):
    kernel: str
    rival: str
    why: str
    ours_ms: float
    ratio: tuple[float, float, float] | None  # median and 95 % interval; None without a rival


# -- in the process of a column ---------------------------------------------------------------------------------------


def column(threads: int, wanted: list[str]) -> Column:
    """All kernels with so many threads, and how busy others kept the machine meanwhile."""
    from harness.machine import compute

    compute.configure("cpu", 1)
    from harness.contest import calibration

    compute.configure("cpu", threads, compute.Choices(packed_rows=calibration.packed_rows()))
    from kernels import kernels

    before = environment.busy()
    rows = {name: _row(make()) for name, make in kernels() if not wanted or name in wanted}
    noise = environment.noise(before, environment.busy())
    return {"rows": rows, "others": noise["others"], "packed_rows": compute.current().choices.packed_rows}


def _row(kernel: Any) -> Row:
    import numpy as np

    from harness.check.rate import Block, median, orders, ratios

    found, calls = kernel.ours(), {"B": kernel.ours}
    if kernel.rival is not None:
        if not kernel.agree(found, kernel.rival()):
            raise AssertionError(f"{kernel.name}: {kernel.against} finds something else")
        calls["A"] = kernel.rival
    times = {name: _times(call) for name, call in calls.items()}
    blocks = [
        Block(order, tuple(times[each] / timeit(calls[each], number=times[each]) for each in order))  # type: ignore[arg-type]
        for order in orders(ROUNDS, np.random.default_rng(0))
        if "A" in calls
    ]
    ours = [rate for block in blocks for rate in block.of("B")] or [1 / timeit(kernel.ours, number=1)]
    ratio = tuple(np.exp(median(ratios(blocks))[:3]).tolist()) if blocks else None
    return Row(kernel.name, kernel.against, kernel.why, 1e3 / float(np.median(ours)), ratio)  # type: ignore[arg-type]


def _times(call: Callable[[], Any]) -> int:
    """How often a call is repeated in one measurement."""
    times = 1
    while (took := timeit(call, number=times)) < LEAST_S:
        times = max(2 * times, int(times * LEAST_S / max(took, 1e-7)))
    return times


# -- the table --------------------------------------------------------------------------------------------------------


def measured(wanted: list[str]) -> dict[str, Column]:
    found = {}
    for name, (limits, threads) in COLUMNS.items():
        begun = time.perf_counter()
        command = [sys.executable, __file__, "--column", str(threads), *wanted]
        libraries = {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": str(threads > 1).lower()}
        env = environment.for_child(ROOT, **libraries, **limits, HF_HUB_OFFLINE="1")
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)  # noqa: T201
    return found


def table(columns: Mapping[str, Column]) -> str:
    first = next(iter(columns.values()))["rows"]
    heads = ["kernel", "rival", "ours, ms", *columns, "why"]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (1 + len(columns)) + "---|"]
    for name, row in first.items():
        kernel, rival, why, ours_ms, _ = row
        cells = [_words(column["rows"][name][4]) for column in columns.values()]
        lines.append("| " + " | ".join([kernel, rival or "none does the same", _ms(ours_ms), *cells, why]) + " |")
    return "\n".join(lines)


def page(columns: Mapping[str, Column], took_s: float) -> str:
    where = environment.commit()
    changed = " (with changes that aren't committed)" if where["dirty"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in environment.versions().items())
    noisy = [f"{name} {100 * each['others']:.0f} %" for name, each in columns.items() if each["others"] is not None]
    loud = any((each["others"] or 0) > environment.NOISY for each in columns.values())
    lost: dict[str, list[str]] = {}
    for name, each in columns.items():
        for kernel, rival, _, _, ratio in each["rows"].values():
            if ratio and ratio[2] < 1:
                lost.setdefault(f"{kernel}, against {rival}", []).append(f"{name} {ratio[0]:.2f}")
    packed = ", ".join(f"{name} {_rows(each['packed_rows'])}" for name, each in columns.items())
    return "\n".join(
        [
            "# What is fast here, and what isn't",
            "",
            f"Ratios of rates, ours / rival: above 1 ours is faster. Median of {2 * ROUNDS} pairs, timed in turns in",
            "one process with the same threads, and the 95 % interval of that median (order statistics). **Bold**: the",
            "whole interval is on one side of 1. `AVX2`: libraries kept from AVX-512 and bfloat16, as on a plain",
            f"processor. `ours, ms`: one call, in the first column. Made by `make bench` in {took_s / 60:.0f} minutes.",
            "",
            f"- {environment.processor()}, {os.cpu_count()} cores, {environment.memory_gb()} GB; {versions}",
            f"- {time.strftime('%Y-%m-%d')}, commit {(where['commit'] or 'unknown')[:12]}{changed}",
            f"- the pre-packed product from so many rows on, as a run would measure: {packed}",
            f"- taken by other processes meanwhile: {', '.join(noisy)}"
            + (": **noisy**, to be made again on a quiet machine" if loud else ""),
            "",
            table(columns),
            "",
            "The rival is faster, for sure:" if lost else "No rival is faster for sure.",
            *([""] if lost else []),
            *(f"- {which}: {', '.join(where)}" for which, where in lost.items()),
            "",
        ]
    )


def _words(ratio: list[float] | None) -> str:
    if ratio is None:
        return "–"
    sure = ratio[1] > 1 or ratio[2] < 1
    value, low, high = (f"{each:,.2f}" if each < 10 else f"{each:,.0f}" for each in ratio)
    return f"**{value}** [{low}, {high}]" if sure else f"{value} [{low}, {high}]"


def _rows(count: int) -> str:
    return f"{count:,}" if count < 1 << 30 else "never"


def _ms(value: float) -> str:
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--column"]:
        print(json.dumps(column(int(arguments[1]), arguments[2:])))  # noqa: T201
        return
    begun = time.perf_counter()
    columns = measured(arguments)
    print(table(columns))  # noqa: T201
    if not arguments:
        TABLE.write_text(page(columns, time.perf_counter() - begun))


if __name__ == "__main__":
    main(sys.argv[1:])

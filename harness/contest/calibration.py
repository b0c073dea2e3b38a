"""What this machine is fast in, measured when a run begins: kernels, precision of training, threads and how they wait.

`cli` calls `settle` before anything loads torch, since OpenMP reads how long to spin when it is loaded. The measuring
is done in child processes, one for each way to wait, and kept in the store for the next run on this machine; what is
measured beside other work is kept apart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.machine import compute, environment, files
from harness.machine.compute import Choices

SCHEMA = 3
SPINS = (compute.SPIN, 300_000)  # some ten microseconds, and several milliseconds
GAIN = 1.1  # the more expensive choice has to be so many times as fast
LIMIT_S = 120
WIDTH, TOKENS = 192, 20  # of the networks that are trained here, and of a query
BATCH = 64  # queries
LEARNT = 4 * BATCH * TOKENS  # rows of a product in training
ROWS = (1, 20, 160, 1280)  # of a product: a pooled query, one query's tokens, a few queries', a batch's
NEVER = 1 << 30
SETTABLE = {field.name for field in fields(Choices)} - {"gflops"}
SHAPED_BY = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


class BadChoice(ValueError):
    """`--compute` says what can't be."""


def settle(cache: Path, threads: int, request: str | None, say: Callable[[str], None]) -> Choices:
    """The choices for this run: as requested, else as measured here before, else measured now."""
    chosen = parse(request or "")
    if chosen is None:
        return Choices()
    if chosen.keys() >= SETTABLE:
        return Choices(**chosen)
    busy = environment.others_take(0.2) > environment.NOISY
    path = _path(cache, threads, busy)
    measured = _known(path)
    if measured is None:
        begun = time.monotonic()
        measured = _measure(threads, SPINS[:1] if busy else SPINS)
        if measured is None:
            say("this machine could not be measured; the usual kernels and threads are taken")
            return replace(Choices(), **chosen)
        say(f"measured what this machine is fast in ({time.monotonic() - begun:.1f} s): {words(Choices(**measured))}")
        files.write_json(path, files.sealed({"schema": SCHEMA, "choices": measured}))
    return Choices(**{**measured, **chosen})


def parse(request: str) -> dict[str, Any] | None:
    """`threads=1,spin=1000,bf16_training=no` as values; None for `default`, which measures nothing."""
    if request.strip() == "default":
        return None
    found = {}
    for part in filter(None, (part.strip() for part in request.split(","))):
        name, _, value = part.partition("=")
        if name not in SETTABLE or not (value.isdecimal() or (name == "bf16_training" and value in ("yes", "no"))):
            raise BadChoice(
                f"--compute: found {part[:80]!r}; expected `default`, or NAME=NUMBER with "
                f"{', '.join(sorted(SETTABLE))} (bf16_training=yes or no), commas between; correct it"
            )
        found[name] = value == "yes" if name == "bf16_training" else int(value)
    return found


def words(choices: Choices) -> str:
    training = "bfloat16" if choices.bf16_training else "float32"
    if choices.packed_rows == NEVER:
        kernels = "PyTorch's products"
    else:
        kernels = (
            f"pre-packed products from {choices.packed_rows} rows on" if choices.packed_rows else "packed products"
        )
    return (
        f"{choices.training_threads} threads in training, {choices.threads} for batches, {choices.single_threads} for "
        f"single queries, waiting threads look {choices.spin:,} times, {kernels}, training in {training}"
    )


def gflops(cache: Path, threads: int) -> float | None:
    """How fast this machine was found to be in training; None where it wasn't measured yet."""
    found = (_known(_path(cache, threads, busy)) for busy in (False, True))
    return next((each["gflops"] for each in found if each), None)


def _path(cache: Path, threads: int, busy: bool) -> Path:
    return cache / "calibration" / f"{_machine(threads, busy)[:40]}.json"


def _machine(threads: int, busy: bool) -> str:
    shaped_by = {name: os.environ.get(name) for name in SHAPED_BY}
    known = [SCHEMA, environment.processor(), os.cpu_count(), environment.versions().get("torch"), threads, busy]
    return files.digest([*known, shaped_by])


def _known(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found["choices"] if files.unbroken(found) and found.get("schema") == SCHEMA else None


def _measure(threads: int, spins: tuple[int, ...]) -> dict[str, Any] | None:
    """The choices with the spin count of the best rate; a long one only where it is clearly better."""
    found = [each for each in (_child(threads, spin) for spin in spins) if each is not None]
    if not found:
        return None
    best = found[0]
    for other in found[1:]:
        if other["score"] > GAIN * best["score"]:
            best = {**other, "choices": {**best["choices"], **other["choices"]}}
    return best["choices"]


def _child(threads: int, spin: int) -> Mapping[str, Any] | None:
    alone = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "GOMP_SPINCOUNT": str(spin)}
    command = [sys.executable, "-P", "-m", "harness.contest.calibration", str(threads), str(spin)]
    try:
        done = subprocess.run(
            command, env=environment.for_child(**alone), capture_output=True, text=True, timeout=LIMIT_S, check=True
        )
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


# -- in the child -----------------------------------------------------------------------------------------------------


def main(threads: int, spin: int) -> None:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    bf16, gflops = training()
    choices: dict[str, Any] = {"spin": spin, "packed_rows": packed_rows(), "bf16_training": bf16, "gflops": gflops}
    compute.configure("cpu", threads, Choices(**choices))
    one, all_ = (1 / seconds(training_step(bf16, count), mean=True) for count in (1, threads))
    choices["training_threads"] = threads if all_ > GAIN * one else 1
    score = max(one, all_)
    for name, queries in (("threads", BATCH), ("single_threads", 1)):
        one, all_ = (rate(queries, count) for count in (1, threads))
        choices[name] = threads if all_ > GAIN * one else 1
        score *= max(one, all_)
    sys.stdout.write(json.dumps({"choices": choices, "score": score}) + "\n")


def packed_rows() -> int:
    """The fewest rows from which on the pre-packed product is the faster one."""
    import torch

    weight, bias = torch.randn(4 * WIDTH, WIDTH), torch.randn(4 * WIDTH)
    packed, found = compute.product(weight, bias), NEVER
    with torch.inference_mode():
        for rows in reversed(ROWS):
            x = torch.randn(rows, WIDTH)
            plain = seconds(partial(torch.nn.functional.linear, x, weight, bias))
            if seconds(partial(packed, x)) > plain:
                break
            found = rows
    return 0 if found == ROWS[0] else found


def training() -> tuple[bool, float]:
    """Whether a linear layer's step is clearly faster with products of bfloat16, and the GFLOP/s of the better way."""
    half, single = (seconds(training_step(half, 1)) for half in (True, False))
    operations = 3 * 2 * LEARNT * 4 * WIDTH**2  # forward, and backward to what it learns and what it is given
    return half * GAIN < single, round(operations / min(half, single) / 1e9, 1)


def training_step(half: bool, threads: int) -> Callable[[], None]:
    """One of a linear layer, with as many rows as a batch of texts or pictures comes to."""
    import torch

    layer, x = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.randn(LEARNT, WIDTH, requires_grad=True)

    def step() -> None:
        with compute.limited_threads(threads), torch.autocast("cpu", torch.bfloat16, enabled=half):
            layer(x).float().sum().backward()

    return step


def rate(queries: int, threads: int) -> float:
    """Batches a second through two layers: on average, so that waiting counts."""
    import torch

    from harness.nn.layers import Block

    layers = compute.ready(torch.nn.Sequential(*(Block(WIDTH, 4, feed=2) for _ in range(2))))
    x = torch.randn(queries, TOKENS, WIDTH)
    with torch.inference_mode(), compute.limited_threads(threads):
        return 1 / seconds(lambda: layers(x), mean=True)


def seconds(call: Callable[[], Any], mean: bool = False, budget: float = 0.08) -> float:
    """The shortest of many calls, or their mean."""
    call()
    taken: list[float] = []
    end = time.perf_counter() + budget
    while not taken or time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return sum(taken) / len(taken) if mean else min(taken)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))

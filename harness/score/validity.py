"""Whether the rates and latencies of a record can be trusted: what was found, and what to do.

Controls that see nothing are not judged: their rounds last a millisecond, and their rate is the referee's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from harness.score.scoring import blind
from harness.store.record import Record

# Figures are those of the contestants of `suites/audio.yaml` on two cores: quiet, and beside six other processes.
ROUNDS = 5  # with fewer the quartiles are those of two or three numbers
SPREAD = 0.20  # quartiles of the rounds, as a share of the median: 0.01 to 0.08 when quiet, 0.03 to 1.4 when not
DRIFT = 0.10  # median of the last half over that of the first: within 0.05 when quiet, 0.8 when not
TREND = 0.9  # rank correlation of rate and round: by chance once in some 200 times eight rounds
PROCESSES = 0.20  # the fastest process's median over the slowest's
CACHE = 1.5  # times as fast when asked again as ever before: at most 1.07 when quiet
CACHE_IF_NOISY = 3.0  # of one repeated slice: up to 1.9 when not quiet
TAIL = 5  # queries that have to be slower than a percentile: p95 takes 100 of them, p99 500
CORES = 1.2  # CPU seconds a second and allowed thread: one thread can't have more than 1, but for the clock's own
LEAST_S = 0.05  # shorter spans tell little about CPU time
STALL, STALL_MS = 5.0, 50.0  # a call takes so many times as long as 95 % of them do, and so much longer
FIRST, FIRST_MS = 5.0, 250.0  # the first answer, beside the second


class Problem(NamedTuple):
    kind: str  # two or three words
    size: float  # the larger the worse, among problems of its kind
    found: str
    remedy: str
    invalid: bool = True  # else it is only good to know


def problems(record: Record) -> list[Problem]:
    """All that is wrong with its rates and latencies, each kind at most once."""
    speed: Any = record["speed"]
    if not speed or blind(record):
        return []
    return list(gravest(_found(speed)).values())


def gravest(found: Iterable[Problem]) -> dict[str, Problem]:
    """Of each kind the worst one."""
    worst: dict[str, Problem] = {}
    for problem in found:
        if problem.kind not in worst or problem.size > worst[problem.kind].size:
            worst[problem.kind] = problem
    return worst


def _found(speed: dict[str, Any]) -> Iterator[Problem]:
    yield from _noise(speed["noise"])
    offline, single, server = (speed.get(name) or {} for name in ("offline", "single", "server"))
    loads = server.get("rates", [])
    if offline:
        yield from _rounds(offline["qps"]["rounds"])
        yield from _processes(offline)
        yield from _first(offline.get("first"))
    yield from _repeated(offline, single, server, noisy=bool(speed["noise"].get("noisy")))
    yield from _few("p95 of single queries", single, 0.05)
    for load in loads:
        yield from _few(f"p99 at {load['rate']:.3g} queries/s", load, 0.01)
        yield from _stall(load)
    for timed in (offline, single, *speed.get("batch", {}).values(), *loads):
        yield from _cores(timed.get("cpu"))


def _noise(noise: dict[str, Any]) -> Iterator[Problem]:
    if noise.get("noisy"):
        yield Problem(
            "noise",
            noise["others"],
            f"other processes took {100 * noise['others']:.0f} % of the machine",
            "end them and run it into another --out, which times everything again",
        )


def _rounds(rates: list[float]) -> Iterator[Problem]:
    if len(rates) < ROUNDS:
        yield Problem(
            "few rounds",
            -len(rates),
            f"{len(rates)} rounds, which say little about their spread",
            f"set `rounds` of `offline` to {ROUNDS} or more",
        )
        return
    q25, median, q75 = np.percentile(rates, [25, 50, 75])
    spread = float((q75 - q25) / median)
    if spread > SPREAD:
        yield Problem(
            "unstable",
            spread,
            f"the rounds' quartiles are {100 * spread:.0f} % of the median apart",
            "run it on a quieter machine, or with more rounds and queries",
        )
    half = len(rates) // 2
    drift = float(np.median(rates[-half:]) / np.median(rates[:half]) - 1)
    if abs(drift) > DRIFT and abs(_trend(rates)) >= TREND:
        yield Problem(
            "drift",
            abs(drift),
            f"the last rounds are {100 * abs(drift):.0f} % {'faster' if drift > 0 else 'slower'} than the first",
            "look for a clock that throttles, or memory that grows, and run it with more rounds",
        )


def _trend(rates: list[float]) -> float:
    """The rank correlation of rate and time."""
    return float(np.corrcoef(np.argsort(np.argsort(rates)), np.arange(len(rates)))[0, 1])


def _processes(offline: dict[str, Any]) -> Iterator[Problem]:
    medians = offline.get("processes", [])
    apart = max(medians, default=1.0) / min(medians, default=1.0) - 1
    if apart > PROCESSES:
        yield Problem(
            "processes differ",
            apart,
            f"the fastest of {len(medians)} processes is {100 * apart:.0f} % faster than the slowest",
            "set `processes` of `offline` higher, and quote the range",
        )


def _repeated(*scenarios: dict[str, Any], noisy: bool) -> Iterator[Problem]:
    """Asked again: answers must be the same, and take as long."""
    for scenario in scenarios:
        repeat = scenario.get("repeat", {})
        agree = min(repeat.get("agree", 1.0), scenario.get("processes_agree", 1.0))
        if agree < 1.0:
            yield Problem(
                "answers differ",
                1 - agree,
                f"{100 * (1 - agree):.1f} % of queries were answered otherwise when they were asked again",
                "seed what the retriever draws, and make it deterministic",
            )
        gain = repeat.get("speedup", 1.0)
        if "qps" in scenario:  # beyond the fastest round, which noise alone hardly explains
            gain *= scenario["qps"]["median"] / max(scenario["qps"]["rounds"])
        gain = max(gain, repeat.get("unseen", 1.0))
        if gain > (CACHE_IF_NOISY if noisy and "qps" in scenario else CACHE):
            yield Problem(
                "cache",
                gain,
                f"queries that were asked before took 1/{gain:.3g} of the time of new ones",
                "have the retriever forget between calls: all queries of a user are new to it",
            )


def _few(what: str, timed: dict[str, Any], beyond: float) -> Iterator[Problem]:
    if timed and timed["queries"] * beyond < TAIL - 1e-9:
        yield Problem(
            "few queries",
            -timed["queries"] * beyond,
            f"{what} is of {timed['queries']} queries",
            f"ask {TAIL / beyond:.0f} (`queries`, and for slow retrievers `cap_s`), or quote the median alone",
        )


def _cores(cpu: dict[str, float] | None) -> Iterator[Problem]:
    if cpu and cpu["seconds"] >= LEAST_S and cpu["cores"] > CORES * cpu["threads"]:
        yield Problem(
            "too many threads",
            cpu["cores"] / cpu["threads"],
            f"{cpu['cores']:.2g} cores were at work, {cpu['threads']:g} allowed",
            "have the retriever start no threads of its own, or give all contestants as many with --threads",
        )


def _stall(load: dict[str, Any]) -> Iterator[Problem]:
    calls = load.get("calls")
    if calls and calls["longest_ms"] > STALL * calls["p95_ms"] + STALL_MS:
        yield Problem(
            "stall",
            calls["longest_ms"],
            f"one call took {calls['longest_ms']:.0f} ms, 95 % of them at most {calls['p95_ms']:.3g} ms, and all that "
            "were due meanwhile waited",
            "run it again: a stall that comes back is the retriever's",
        )


def _first(first: dict[str, float] | None) -> Iterator[Problem]:
    if first and first["ms"] > FIRST * first["usual_ms"] and first["ms"] > first["usual_ms"] + FIRST_MS:
        yield Problem(
            "slow first answer",
            first["ms"],
            f"the first answer after loading took {first['ms']:.0f} ms, the next {first['usual_ms']:.3g} ms",
            "where it is deployed, ask it something before users do; its rates are not affected",
            invalid=False,
        )

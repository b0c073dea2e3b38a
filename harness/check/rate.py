"""Two versions' rates on one machine: pairs of runs, one of each version, next to each other in time.

Blocks are A B B A or B A A B by chance, so that drift favours neither. The two runs of A in a block, and those of B,
are pairs without a difference: what they differ by is noise. How far the median of so many may be off by it is the
floor below which nothing can be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from harness.check.verdict import State
from harness.score.statistics import holm

MARGIN = 0.05  # a rate may drop by so much before it counts
LEVEL = 0.95
LEAST_PAIRS = 12


class Block(NamedTuple):
    """The rates of one block's four runs, in the order in which they ran."""

    order: str  # ABBA or BAAB: A is the base, B what is checked
    rates: tuple[float, float, float, float]

    def of(self, version: str) -> list[float]:
        return [rate for rate, name in zip(self.rates, self.order, strict=True) if name == version]


class Median(NamedTuple):
    """Of log-ratios: the median, and the order statistics that hold it with at least 95 % confidence."""

    value: float
    low: float
    high: float
    p: float  # of the sign test that it is 0

    @property
    def words(self) -> str:
        return f"{_percent(self.value)} [{_percent(self.low)}, {_percent(self.high)}]"


def orders(blocks: int, rng: np.random.Generator) -> list[str]:
    """As many of one kind as of the other, give or take one."""
    kinds = ["ABBA", "BAAB"] * (blocks // 2 + 1)
    return [kinds[place] for place in rng.permutation(blocks)]


def ratios(blocks: Sequence[Block]) -> np.ndarray:
    """log(B / A) of neighbours: two a block."""
    found = []
    for block in blocks:
        for first in (0, 2):
            a, b = sorted(zip(block.order[first : first + 2], block.rates[first : first + 2], strict=True))
            found.append(np.log(b[1] / a[1]))
    return np.array(found)


def noise(blocks: Sequence[Block]) -> np.ndarray:
    """Log-ratios of runs of the same version in one block: two a block, each with a sign that means nothing."""
    return np.array([np.log(second / first) for block in blocks for first, second in map(block.of, "AB")])


def median(values: np.ndarray) -> Median:
    """With the widest pair of order statistics that the binomial distribution allows, which assumes nothing else."""
    ordered, count = np.sort(values), len(values)
    tails = special.bdtr(np.arange(count), count, 0.5)  # P(X <= k)
    place = int(np.searchsorted(tails, (1 - LEVEL) / 2, side="right")) - 1  # the last whose tail is light enough
    low, high = (ordered[place], ordered[-1 - place]) if place >= 0 else (-np.inf, np.inf)
    nonzero = values[values != 0]
    fewer = min((nonzero > 0).sum(), (nonzero < 0).sum())
    p = min(1.0, 2 * float(special.bdtr(fewer, len(nonzero), 0.5))) if len(nonzero) else 1.0
    return Median(float(np.median(values)), float(low), float(high), p)


def floor(control: np.ndarray) -> float:
    """How far off the median of pairs without a difference may be. Their sign is chance: both are counted."""
    return max(abs(each) for each in median(np.concatenate([control, -control]))[1:3]) * np.sqrt(2)


def judge(cells: Sequence[Sequence[Block]], margin: float = MARGIN) -> list[tuple[State, str]]:
    """Of each cell: slower for sure and by more than the margin; surely not; or it can't be told."""
    found = [median(ratios(blocks)) for blocks in cells]
    odds = holm([each.p for each in found])
    return [
        _judge(each, float(p), floor(noise(blocks)), margin, len(blocks))
        for each, p, blocks in zip(found, odds, cells, strict=True)
    ]


def _judge(found: Median, p: float, lowest: float, margin: float, blocks: int) -> tuple[State, str]:
    allowed = np.log(1 - margin)
    words = (
        f"queries/s {found.words} in {2 * blocks} pairs (p {p:.2g} after Holm), margin {_percent(allowed)}, "
        f"noise of the machine ±{100 * np.expm1(lowest):.1f} %"
    )
    if p < 1 - LEVEL and found.high < min(0.0, -lowest) and found.value < allowed:
        return "regression", words
    if lowest <= -allowed and found.low > allowed:
        return "fine", words
    if lowest > -allowed:
        return "inconclusive", f"{words}: noisier than the margin; run it on a quieter machine, or with more --pairs"
    return "inconclusive", f"{words}: so few pairs can't rule out a larger drop; run more --pairs"


def _percent(log_ratio: float) -> str:
    return f"{100 * np.expm1(log_ratio):+.1f} %"

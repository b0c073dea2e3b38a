"""How sure we may be of a ratio of rates: the rounds of both are resampled."""

from __future__ import annotations

import numpy as np

DRAWS = 4000
TAIL = 2.5  # per cent on either side


def log_ratios(first: np.ndarray, second: np.ndarray, together: bool = True) -> np.ndarray:
    """float64 [1 + DRAWS]: log(second / first) of the medians of rounds; the measured one, then the resampled ones.

    `together`: of one contest, whose rounds of one number were next to each other in time and are drawn as one.
    """
    rng = np.random.default_rng(0)
    count = min(len(first), len(second))
    drawn = rng.integers(0, count, (DRAWS, count))
    others = drawn if together else rng.integers(0, count, (DRAWS, count))
    medians = [np.median(rounds[rows], axis=1) for rounds, rows in ((first, drawn), (second, others))]
    return np.log(np.concatenate([[np.median(second) / np.median(first)], medians[1] / medians[0]]))


def interval(draws: np.ndarray) -> tuple[float, float]:
    """95 % of them."""
    low, high = np.percentile(draws, [TAIL, 100 - TAIL])
    return float(low), float(high)

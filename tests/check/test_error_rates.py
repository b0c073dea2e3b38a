"""What results/gate.md claims of the gate, computed again from the committed rounds with fewer draws."""

from __future__ import annotations

import error_rates
import numpy as np
import pytest

DRAWN = 2_000


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_false_alarms_are_rare(rng: np.random.Generator) -> None:
    found = error_rates.resampled(error_rates.measured(), 1.0, DRAWN, rng)
    assert sum(found.values()) == DRAWN
    assert error_rates.interval(found["regression"], DRAWN)[1] <= 0.015


def test_what_is_slower_is_never_fine_and_caught_where_it_is_quiet(rng: np.random.Generator) -> None:
    jobs = error_rates.measured()
    assert error_rates.resampled(jobs, 0.9, DRAWN // 2, rng)["fine"] == 0
    assert error_rates.resampled(jobs, 0.7, DRAWN // 2, rng)["fine"] == 0
    found = error_rates.resampled(error_rates.quiet(jobs), 0.7, DRAWN // 2, rng)
    assert found["fine"] == 0 and found["regression"] >= 0.8 * DRAWN // 2


def test_a_drop_of_recall_is_judged_as_its_interval_says(rng: np.random.Generator) -> None:
    for drop, never in ((0.0, "regression"), (0.05, "fine")):
        found, held = error_rates.recalls(drop, 300, rng)
        assert held >= 0.92 and found[never] <= 0.05 * 300, (drop, found)
    found, _ = error_rates.recalls(0.05, 300, rng)
    assert found["regression"] >= 0.9 * 300


def test_the_page_says_what_the_rounds_are() -> None:
    told = (error_rates.RESULTS / "gate.md").read_text()
    jobs = error_rates.measured()
    assert f"{len(jobs)} real jobs" in told
    assert f"| A/A, {len(jobs)} × {len(jobs[0])} cells | {' | '.join(error_rates._real(jobs))} |" in told

"""Groups that follow the vectors, and groups that don't."""

from __future__ import annotations

import numpy as np
import pytest

from harness.score import neighbours

RNG = np.random.default_rng(0)
GROUPS = np.repeat(np.arange(20), 30)
VECTORS = RNG.normal(size=(20, 16))[GROUPS] * 10 + RNG.normal(size=(600, 16))


def test_groups_that_follow_clusters_have_all_neighbours_in_common() -> None:
    shared, chance = neighbours.shared(VECTORS.astype(np.float32), GROUPS)
    assert shared == 1.0 and chance == pytest.approx(29 / 599)


def test_groups_at_random_share_as_many_as_chance_gives() -> None:
    shared, chance = neighbours.shared(VECTORS.astype(np.float32), RNG.permutation(GROUPS))
    assert shared == pytest.approx(chance, abs=5 * np.sqrt(chance / 6000))


def test_a_candidate_is_no_neighbour_of_its_own() -> None:
    assert neighbours.shared(np.zeros((4, 2), np.float32), np.arange(4)) == (0.0, 0.0)
    line = np.array([[0.0, 0], [1, 0], [10, 0], [11, 0]], np.float32)
    assert neighbours.shared(line, np.array([0, 0, 1, 1]), nearest=1) == (1.0, pytest.approx(1 / 3))
    assert neighbours.shared(line, np.array([0, 0, 1, 1]), nearest=3)[0] == pytest.approx(1 / 3), "all others"

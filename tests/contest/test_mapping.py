"""Maps of candidates: which of them are drawn, and where they come to lie."""

from __future__ import annotations

import numpy as np
import torch

from harness.contest import mapping
from harness.score import neighbours


def test_up_to_a_thousand_are_drawn_and_the_same_each_time() -> None:
    assert mapping.drawn(60).tolist() == list(range(60))
    many = mapping.drawn(5_000)
    assert len(np.unique(many)) == mapping.MOST == len(many) and (np.diff(many) > 0).all() and many[-1] > 4_900
    assert np.array_equal(many, mapping.drawn(5_000))


def test_near_vectors_come_to_lie_near_each_other_the_same_way_each_time() -> None:
    groups, rng = np.repeat(np.arange(4), 20), np.random.default_rng(0)
    vectors = (5 * rng.normal(size=(4, 16))[groups] + rng.normal(size=(80, 16))).astype(np.float32)
    threads = torch.get_num_threads()
    places = mapping.plane(vectors)
    assert places.shape == (80, 2) and places.dtype == np.float32 and np.isfinite(places).all()
    assert neighbours.shared(places, groups)[0] > 0.95
    assert np.array_equal(places, mapping.plane(vectors)) and torch.get_num_threads() == threads

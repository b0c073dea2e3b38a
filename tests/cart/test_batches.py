"""Lessons: each text with the candidates that it may be meant for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cart import batches
from harness.nn import distillation
from harness.nn.distillation import Posterior

RNG = np.random.default_rng


class Nearest:
    """Judges by cosines with ten candidates, at a scale of 20."""

    items = F.normalize(torch.from_numpy(RNG(1).standard_normal((10, 8), np.float32)), dim=-1).numpy()

    def score_vectors(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        scores = 20 * vectors @ self.items.T
        ids = np.argsort(-scores, axis=1)[:, :k]
        return ids, np.take_along_axis(scores, ids, axis=1)


def vectors(count: int) -> torch.Tensor:
    return F.normalize(torch.from_numpy(RNG(2).standard_normal((count, 8), np.float32)), dim=-1)


def test_a_caption_is_its_own_candidates_and_candidates_are_drawn_evenly() -> None:
    counts = [1, 9, 2]
    rows = torch.arange(1, 13)[:, None]  # number of the caption, counted from 1
    found = batches.from_captions(rows, counts)(RNG(0), 6000)
    owner = np.repeat(np.arange(3), counts)
    assert np.array_equal(owner[found.texts[:, 0].numpy() - 1], found.ids[:, 0])
    assert np.bincount(found.ids[:, 0]) == pytest.approx([2000] * 3, rel=0.1)
    assert np.bincount(found.texts[:, 0].numpy())[2:11] == pytest.approx([2000 / 9] * 9, rel=0.3)
    assert (found.odds == 1).all()


def test_a_text_comes_with_what_its_teacher_thinks() -> None:
    posterior = Posterior(("a", "b"), np.array([[3, 4], [5, 6]]), np.array([[0.9, 0.1], [0.4, 0.6]], np.float32))
    found = batches.from_posterior(torch.tensor([[1, 0], [2, 2]]), posterior)(RNG(0), 50)
    for text, ids, odds in zip(found.texts[:, 0].tolist(), found.ids, found.odds, strict=True):
        assert np.array_equal(ids, posterior.ids[text - 1]) and np.array_equal(odds, posterior.odds[text - 1])


def test_a_teacher_may_be_softened_and_sharpened() -> None:
    posterior = Posterior(("a",), np.array([[3, 4, 5]]), np.array([[0.8, 0.2, 0.0]], np.float32))
    assert posterior.softened(1.0) is posterior
    assert posterior.softened(2.0).odds[0] == pytest.approx([2 / 3, 1 / 3, 0]), "the roots of 0.8 and 0.2 are as 2 to 1"
    assert posterior.softened(0.5).odds[0] == pytest.approx([16 / 17, 1 / 17, 0])
    batch = batches.between(vectors(40), Nearest(), 0.5, 4, 0.5)(RNG(0), 30)
    plain = batches.between(vectors(40), Nearest(), 0.5, 4)(RNG(0), 30)
    squared = plain.odds**2
    assert np.allclose(batch.odds, squared / squared.sum(axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("most", [1e-6, 0.5, 1.0])
def test_vectors_between_two_texts_are_scored_as_they_are(most: float) -> None:
    known = vectors(40)
    found = batches.between(known, Nearest(), most, 4)(RNG(0), 300)
    assert torch.allclose(found.texts.norm(dim=1), torch.ones(300), atol=1e-5)
    ids, scores = Nearest().score_vectors(found.texts.numpy(), 4)
    assert np.array_equal(found.ids, ids)
    assert np.allclose(found.odds, distillation.shares(scores)) and np.allclose(found.odds.sum(axis=1), 1)
    # Each lies on the way between two of them, nearer to the one it comes from unless `most` says otherwise.
    nearest = (found.texts @ known.T).amax(1)
    assert (nearest > 1 - 1e-5).float().mean() == pytest.approx(1 if most < 1e-3 else 0, abs=0.1)


def test_between_is_drawn_anew_every_time_and_by_the_seed_alone() -> None:
    draw = batches.between(vectors(40), Nearest(), 0.5, 4)
    first, other, again = draw(RNG(0), 30), draw(RNG(1), 30), draw(RNG(0), 30)
    assert torch.equal(first.texts, again.texts) and not torch.equal(first.texts, other.texts)

"""The batches that CART is trained on: queries, and the candidates that each may be meant for.

from_captions   a generated caption is meant for its own candidate; candidates are drawn evenly
from_posterior  any text, with a teacher's distribution over candidates
between         a vector between those of two texts, with the scores that the fine-tuned dual tower gives it there and
                then: no batch comes twice, so that none can be memorised
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.nn import distillation
from harness.nn.batching import trim
from harness.nn.distillation import Posterior


class Batch(NamedTuple):
    texts: Tensor  # (n, L) numbers of words, or (n, dim) vectors
    ids: np.ndarray  # (n, m): candidates that they may be meant for
    odds: np.ndarray  # (n, m): how likely each of those is; rows sum to 1


Draw = Callable[[np.random.Generator, int], Batch]


class VectorScorer(Protocol):
    """As `distillation.TextScorer`, for texts that are vectors already."""

    def score_vectors(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]: ...


def from_captions(rows: Tensor, counts: Sequence[int]) -> Draw:
    """`rows` are the captions of the first candidate, then those of the second; `counts` says how many of each."""
    each = np.array(counts)
    first = np.cumsum(each) - each

    def draw(rng: np.random.Generator, count: int) -> Batch:
        chosen = rng.integers(len(each), size=count)
        texts = first[chosen] + (rng.random(count) * each[chosen]).astype(np.int64)
        return Batch(trim(rows[texts]), chosen[:, None], np.ones((count, 1), np.float32))

    return draw


def from_posterior(rows: Tensor, posterior: Posterior) -> Draw:
    def draw(rng: np.random.Generator, count: int) -> Batch:
        chosen = posterior.draw(rng, count)
        return Batch(trim(rows[chosen]), posterior.ids[chosen], posterior.odds[chosen])

    return draw


def between(vectors: Tensor, scorer: VectorScorer, most: float, k: int, temperature: float = 1.0) -> Draw:
    """From a text up to `most` of the way to another, evenly; the k likeliest candidates of the point there."""

    def draw(rng: np.random.Generator, count: int) -> Batch:
        one, other = (vectors[rng.integers(len(vectors), size=count)] for _ in range(2))
        way = torch.from_numpy(rng.random((count, 1), dtype=np.float32)) * most
        mixed = F.normalize(torch.lerp(one, other, way), dim=-1)
        ids, scores = scorer.score_vectors(mixed.numpy(), k)
        return Batch(mixed, ids, distillation.shares(scores / temperature))

    return draw

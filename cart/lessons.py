"""What CART is taught: batches of queries, each with the candidates that it may be meant for.

told      a generated caption is its own candidate's for certain; candidates are drawn evenly
taught    any text, and what a teacher thinks of it
between   a vector between those of two texts, and what a tuned dual tower thinks of it on the spot: nobody has to
          write it down, so no lesson comes twice and none is learnt by heart
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.nn import teaching
from harness.nn.layers import trim
from harness.nn.teaching import Posterior


class Lesson(NamedTuple):
    texts: Tensor  # (n, L) numbers of words, or (n, dim) vectors
    ids: np.ndarray  # (n, m): candidates that they may be meant for
    odds: np.ndarray  # (n, m): how likely each of those is; rows sum to 1


Draw = Callable[[np.random.Generator, int], Lesson]


class Judge(Protocol):
    """As `teaching.Judge`, of texts that are vectors already."""

    def judge(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]: ...


def told(rows: Tensor, counts: Sequence[int]) -> Draw:
    """`rows` are the captions of the first candidate, then those of the second; `counts` says how many of each."""
    each = np.array(counts)
    first = np.cumsum(each) - each

    def draw(rng: np.random.Generator, count: int) -> Lesson:
        chosen = rng.integers(len(each), size=count)
        texts = first[chosen] + (rng.random(count) * each[chosen]).astype(np.int64)
        return Lesson(trim(rows[texts]), chosen[:, None], np.ones((count, 1), np.float32))

    return draw


def taught(rows: Tensor, posterior: Posterior) -> Draw:
    def draw(rng: np.random.Generator, count: int) -> Lesson:
        heard = posterior.draw(rng, count)
        return Lesson(trim(rows[heard]), posterior.ids[heard], posterior.odds[heard])

    return draw


def between(vectors: Tensor, judge: Judge, most: float, k: int) -> Draw:
    """From a text up to `most` of the way to another, evenly; the k likeliest candidates of what lies there."""

    def draw(rng: np.random.Generator, count: int) -> Lesson:
        one, other = (vectors[rng.integers(len(vectors), size=count)] for _ in range(2))
        way = torch.from_numpy(rng.random((count, 1), dtype=np.float32)) * most
        mixed = F.normalize(torch.lerp(one, other, way), dim=-1)
        ids, scores = judge.judge(mixed.numpy(), k)
        return Lesson(mixed, ids, teaching.shares(scores))

    return draw

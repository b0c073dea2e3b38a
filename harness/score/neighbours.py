"""How far groups of candidates follow their vectors: whether those that are near each other are in the same group."""

from __future__ import annotations

import numpy as np

NEAREST = 10


def shared(vectors: np.ndarray, groups: np.ndarray, nearest: int = NEAREST) -> tuple[float, float]:
    """Of each candidate's nearest others, the share that is in its group, on average; and what chance would give.

    vectors [n, dim], distances are Euclidean; groups int [n].
    """
    vectors = vectors.astype(np.float64)
    squares = np.square(vectors).sum(axis=1)
    distances = squares[:, None] + squares - 2 * vectors @ vectors.T
    np.fill_diagonal(distances, np.inf)
    near = np.argsort(distances, axis=1, kind="stable")[:, : min(nearest, len(vectors) - 1)]
    return float((groups[near] == groups[:, None]).mean()), chance(groups)


def chance(groups: np.ndarray) -> float:
    """That two different candidates, drawn at random, are in the same group."""
    _, members = np.unique(groups, return_counts=True)
    return float((members * (members - 1)).sum() / (len(groups) * (len(groups) - 1)))

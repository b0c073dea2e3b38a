"""What a contestant answered: copied, checked, and compared with its earlier answers.

Called by `timing`, once the clock has stopped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.contract.retriever import Ranking
from harness.score.metrics import BrokenRanking, check_ranking

NEAR = 1e-5  # scores this close, relative to the largest, may swap places


def copied(answer: Any) -> Any:
    """A retriever may write its next answer into the same arrays. What is no ranking stays as it is."""
    return Ranking(_copied(answer.ids), _copied(answer.scores)) if isinstance(answer, Ranking) else answer


def _copied(array: Any) -> Any:
    return np.array(array) if isinstance(array, np.ndarray) else array


def checked(answer: Any, gallery: int, shape: tuple[int, int]) -> Ranking:
    """The answer, of `shape` [Q, k], if it is a valid one; else a `BrokenRanking` with all that is wrong with it."""
    if not isinstance(answer, Ranking):
        raise BrokenRanking([f"the answer is of type {type(answer).__name__}: expected harness.contract.Ranking"])
    check_ranking(answer.ids, answer.scores, gallery, shape)
    return answer


def joined(parts: list[Ranking], queries: np.ndarray) -> Ranking:
    """One ranking of several, sorted by `queries` int64 [Q], which names the query of each row."""
    order = np.argsort(queries)
    ids, scores = (np.concatenate([part[field] for part in parts])[order] for field in (0, 1))
    return Ranking(ids, scores)


def agreement(one: Ranking, other: Ranking) -> float:
    """The share of queries with the same answers; those with scores within `NEAR` of each other may swap places."""
    if not one.ids.size:
        return 1.0
    same = one.ids == other.ids
    scale = np.abs(np.where(one.ids >= 0, one.scores, 0.0)).max(axis=1, keepdims=True)
    again = _found_again(one, other, NEAR * scale) & _found_again(other, one, NEAR * scale)
    return float(np.mean((same | again).all(axis=1)))


def _found_again(one: Ranking, other: Ranking, near: np.ndarray) -> np.ndarray:  # bool [Q, k]
    """Which answers of `one` are among those of `other` with nearly the same score, or as good as its last one."""
    stride = max(int(one.ids.max()), int(other.ids.max())) + 2
    rows = np.arange(len(one.ids))[:, None] * stride + 1  # so that each id has a key of its own in each row
    keys, wanted = (rows + other.ids).ravel(), rows + one.ids
    order = np.argsort(keys)
    place = order[np.minimum(np.searchsorted(keys[order], wanted), keys.size - 1)]
    last = np.where(other.ids >= 0, other.scores, np.inf).min(axis=1, keepdims=True)
    score = np.where(keys[place] == wanted, other.scores.ravel()[place], last)
    answered = (one.ids >= 0) & (other.ids >= 0)
    return answered & (np.abs(np.where(answered, one.scores, 0) - np.where(answered, score, 0)) <= near)

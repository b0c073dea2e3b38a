"""Whether two rankings are the same answers: a contestant's own when it is asked again, or those of another version."""

from __future__ import annotations

import numpy as np

from harness.contract.retriever import Ranking

NEAR = 1e-5  # scores this close, relative to the largest, may swap places


def agreement(one: Ranking, other: Ranking, near: float = NEAR) -> float:
    """The share of queries with the same answers; those with scores within `near` of each other may swap places."""
    if not one.ids.size:
        return 1.0
    differ = (one.ids != other.ids).any(axis=1)
    if not differ.any():  # the usual case
        return 1.0
    one, other = (Ranking(each.ids[differ], each.scores[differ]) for each in (one, other))
    same = one.ids == other.ids
    scale = np.abs(np.where(one.ids >= 0, one.scores, 0.0)).max(axis=1, keepdims=True)
    again = _found_again(one, other, near * scale) & _found_again(other, one, near * scale)
    otherwise = np.count_nonzero(~(same | again).all(axis=1))
    return 1.0 - float(otherwise) / len(differ)


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

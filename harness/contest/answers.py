"""What a contestant answered: copied and checked before anything is made of it.

Called by `timing`, once the clock has stopped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.contract.retriever import Ranking
from harness.score.metrics import BrokenRanking, check_ranking


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

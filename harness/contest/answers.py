"""What a contestant answered: copied and checked before anything is made of it.

Called by `measure`, once the clock has stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.contract.retriever import Ranking
from harness.score.metrics import BrokenRanking, check_ranking

STORED = ("ids", "scores", "query")  # arrays of a stored ranking: no trace may have such a name


def copied(answer: Any) -> Any:
    """So that an output buffer that is used again changes no earlier answer. What is no ranking stays as it is."""
    if not isinstance(answer, Ranking):
        return answer
    trace = answer.trace
    return Ranking(
        _copied(answer.ids),
        _copied(answer.scores),
        {name: _copied(array) for name, array in trace.items()} if isinstance(trace, Mapping) else trace,
    )


def _copied(array: Any) -> Any:
    return np.array(array) if isinstance(array, np.ndarray) else array


def checked(answer: Any, gallery: int, shape: tuple[int, int]) -> Ranking:
    """An answer of `shape` [Q, k] over so many candidates; a `BrokenRanking` that tells all that is wrong with it."""
    if not isinstance(answer, Ranking):
        raise BrokenRanking([f"the answer is of type {type(answer).__name__}: expected harness.contract.Ranking"])
    check_ranking(answer.ids, answer.scores, gallery, shape)
    if not isinstance(answer.trace, Mapping):
        raise BrokenRanking([f"the trace is of type {type(answer.trace).__name__}: expected a dictionary of arrays"])
    problems = [_trace_problem(name, array, shape[0]) for name, array in answer.trace.items()]
    if any(problems):
        raise BrokenRanking([problem for problem in problems if problem])
    return answer


def _trace_problem(name: Any, array: Any, count: int) -> str | None:
    if not isinstance(name, str) or not name.isidentifier() or name in STORED:
        return f"a trace is named {name!r}: expected a plain name, and none of {', '.join(STORED)}, which are stored"
    if not isinstance(array, np.ndarray) or array.dtype.hasobject or array.shape[:1] != (count,):
        found = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
        return f"trace {name} is {found}: expected a numpy array of numbers with {count} rows, one a query"
    return None


def joined(parts: list[Ranking], queries: np.ndarray) -> Ranking:
    """One ranking of several, its rows in the order of `queries` int64 [Q], which says whose row each is."""
    names = parts[0].trace.keys()
    if any(part.trace.keys() != names for part in parts):
        raise BrokenRanking(["traces differ between batches: expected the same names in each answer"])
    order = np.argsort(queries)
    ids, scores = (np.concatenate([part[field] for part in parts])[order] for field in (0, 1))
    return Ranking(ids, scores, {name: np.concatenate([part.trace[name] for part in parts])[order] for name in names})

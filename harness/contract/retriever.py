"""THE interface. A contestant learns, indexes a gallery and answers queries; the referee knows nothing else of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from harness.contract.dataset import Contents, Pairs

PAD = -1  # the id that stands where fewer than k candidates were found


class Ranking(NamedTuple):
    """Answers to a batch of queries, best first."""

    ids: np.ndarray  # int64 [Q, k]: positions in the gallery, none twice, PAD where fewer than k were found
    scores: np.ndarray  # float32 [Q, k]: non-increasing; -inf beside PAD


class Footprint(NamedTuple):
    index_bytes: int  # everything that grows with the gallery
    parameters: int  # of the models, which don't
    constant_bytes: int = 0  # what the index holds that doesn't grow either: codebooks, centroids, projections


class Unsupported(Exception):
    """The retriever can't do this, by its nature; the message says what to do instead."""


class Retriever(ABC):
    """Constructed from plain typed arguments and instruments; it never sees YAML.

    The order of calls: `fit` once, `index` once, then `search`, `add`, `save` any number of times. `load` on a newly
    constructed one replaces `fit` and `index`.
    """

    # Whether what `fit` learns is an artifact of its own, kept by `save_fit` and `load_fit`, that serves all galleries
    # of the dataset: for those whose `fit` is dear.
    keeps_fit: ClassVar[bool] = False

    def fit(self, train: Pairs, validation: Pairs) -> None:  # noqa: B027  zero-shot retrievers have nothing to learn
        """Learn from linked pairs, and choose settings on `validation` here. Both may be empty."""

    @abstractmethod
    def index(self, gallery: Contents) -> None:
        """Make these candidates searchable. A gallery has no links."""

    @abstractmethod
    def search(self, queries: Contents, k: int) -> Ranking:
        """The best k candidates of each query. In a batch or one by one: the same, up to near-ties."""

    def add(self, contents: Contents) -> None:
        """Make more candidates searchable, at the positions that follow, without a new `fit`."""
        raise Unsupported(f"{type(self).__name__} can't add candidates to an index: index the whole gallery again")

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Plain tensors and JSON, never pickled code. Shared instruments stay where they are."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """The mirror of `save`."""

    def save_fit(self, folder: Path) -> None:
        """What `fit` has learnt and nothing else, plain tensors and JSON."""
        raise NotImplementedError(f"{type(self).__name__} doesn't keep its fit apart")

    def load_fit(self, folder: Path) -> None:
        """Stands in for `fit`."""
        raise NotImplementedError(f"{type(self).__name__} doesn't keep its fit apart")

    @abstractmethod
    def footprint(self) -> Footprint: ...

    def counts(self) -> Mapping[str, int]:
        """Operations since the last `reset_counts`: unlike seconds, the same in every run."""
        return {}

    def reset_counts(self) -> None:  # noqa: B027  without counts there is nothing to reset
        """Start counting anew."""

    def details(self) -> Mapping[str, Any]:
        """More about it, as plain values for the record, after `index` or `load`."""
        return {}


@runtime_checkable
class Generates(Protocol):
    """A retriever that generates identifiers of candidates, token by token, and can say how likely each token was."""

    def identifiers(self) -> np.ndarray:
        """int [N, levels]: of every candidate."""

    def odds(self, queries: Contents, answers: np.ndarray) -> np.ndarray:
        """float32 [Q, k, levels]: the probability of each token of these candidates, given those before it."""


@runtime_checkable
class Quantises(Protocol):
    """A retriever that makes identifiers of candidates from their vectors, and can show these vectors."""

    def identifiers(self) -> np.ndarray:
        """int [N, levels]: of every candidate."""

    def vectors_of(self, gallery: Contents, positions: np.ndarray) -> np.ndarray:
        """float32 [n, dim]: the vectors of some candidates of the gallery that it has indexed."""


def best(scores: np.ndarray, k: int) -> Ranking:
    """The top k of dense scores [Q, N]: best first, ties by position, padded to k."""
    count, found = scores.shape[0], min(k, scores.shape[1])
    order = np.argsort(-scores, axis=1, kind="stable")[:, :found]
    return padded(order, np.take_along_axis(scores, order, axis=1), count, k)


def in_blocks(search: Callable[[Contents], Ranking], queries: Contents, size: int, k: int) -> Ranking:
    """The rankings of `size` queries at a time, as one."""
    found = [padded(np.empty((0, 0), np.int64), np.empty((0, 0), np.float32), 0, k)]
    found += [search(queries[start : start + size]) for start in range(0, len(queries), size)]
    return Ranking(np.concatenate([each.ids for each in found]), np.concatenate([each.scores for each in found]))


def taken(ranking: Ranking, rows: np.ndarray) -> Ranking:
    """Some of its rows."""
    return Ranking(ranking.ids[rows], ranking.scores[rows])


def padded(ids: np.ndarray, scores: np.ndarray, count: int, k: int) -> Ranking:
    """A ranking of width k from answers that may be narrower; candidates of id < 0 count as padding."""
    wide_ids = np.full((count, k), PAD, dtype=np.int64)
    wide_scores = np.full((count, k), -np.inf, dtype=np.float32)
    found = min(k, ids.shape[1]) if ids.size else 0
    if found:
        wide_ids[:, :found] = ids[:, :found]
        wide_scores[:, :found] = np.where(ids[:, :found] < 0, -np.inf, scores[:, :found])
    return Ranking(wide_ids, wide_scores)

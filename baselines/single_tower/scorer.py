"""What single towers share: every pair of query and candidate is scored in batches; the media side is prepared once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from harness.contract.dataset import Contents
from harness.contract.retriever import Footprint, Ranking, Retriever, best, in_blocks
from harness.machine import compute
from harness.nn.batching import by_length

PAIRS_AT_ONCE = 512  # fits a processor's cache: half the time of 4096
SCORES_AT_ONCE = 1 << 20  # pairs listed at once: 16 MB of positions


@runtime_checkable
class Scorer(Protocol):
    """Scores pairs of queries and indexed candidates, as every single tower does; re-ranking needs one."""

    def score(self, queries: Contents, pairs: np.ndarray) -> np.ndarray:
        """float32 [pairs], higher is better, for int64 [pairs, 2] of (query, position in the gallery)."""


class SingleTower(Retriever):
    """Scores every candidate for every query: the most expensive way to search, yet in bounded memory."""

    media: Mapping[str, np.ndarray] = {}  # [N, …] each: the prepared side of every candidate
    parameters = 0
    _pairs = 0  # scored since the last reset

    @abstractmethod
    def prepare(self, media: Contents) -> dict[str, np.ndarray]:
        """What scoring needs of media, made once for all queries: [n, …] each, of one form whatever n is."""

    @abstractmethod
    def judge(self, texts: Sequence[str], pairs: np.ndarray) -> np.ndarray:
        """The scores of some pairs, float32 [pairs]."""

    def index(self, gallery: Contents) -> None:
        self.media = self.prepare(gallery)

    def add(self, contents: Contents) -> None:
        more = self.prepare(contents)
        self.media = {name: np.concatenate([old, more[name]]) for name, old in self.media.items()}

    def score(self, queries: Contents, pairs: np.ndarray) -> np.ndarray:
        self._pairs += len(pairs)
        return self.judge(list(queries), pairs) if len(pairs) else np.empty(0, np.float32)

    def search(self, queries: Contents, k: int) -> Ranking:
        size = len(next(iter(self.media.values()), ()))

        def search(block: Contents) -> Ranking:
            pairs = np.indices((len(block), size)).reshape(2, -1).T
            return best(self.score(block, pairs).reshape(len(block), size), k)

        return in_blocks(search, queries, max(1, SCORES_AT_ONCE // max(1, size)), k)

    def save(self, folder: Path) -> None:
        for name, array in self.media.items():
            np.save(folder / f"{name}.npy", array)

    def load(self, folder: Path) -> None:
        """Memory-mapped: of a large gallery only one batch has to fit."""
        self.media = {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}

    def footprint(self) -> Footprint:
        return Footprint(sum(array.nbytes for array in self.media.values()), self.parameters)

    def counts(self) -> Mapping[str, int]:
        return {"pairs": self._pairs}

    def reset_counts(self) -> None:
        self._pairs = 0


class Batch(NamedTuple):
    """Some pairs, with each of their queries and candidates listed once."""

    rows: np.ndarray  # which of the pairs
    texts: list[str]  # the queries among them
    items: np.ndarray  # the candidates among them: positions in the gallery
    pairs: np.ndarray  # int64 [rows, 2]: (place in texts, place in items)


def batches(texts: Sequence[str], pairs: np.ndarray, size: int | None = None) -> Iterator[Batch]:
    """All pairs, `size` at once, or as many as is fast, by the length of their queries."""
    size = size or compute.at_once(PAIRS_AT_ONCE)
    words = np.array([len(text.split()) for text in texts])
    for rows in by_length(words[pairs[:, 0]], size, pairs[:, 0]):
        asked, query = np.unique(pairs[rows, 0], return_inverse=True)
        items, item = np.unique(pairs[rows, 1], return_inverse=True)
        yield Batch(rows, [texts[place] for place in asked], items, np.stack([query, item], axis=1))

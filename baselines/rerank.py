"""The hybrid: one retriever proposes n candidates, and how likely the captioner finds the query for each decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.compute import stage
from harness.dataset import Contents
from harness.instruments import Captioner
from harness.retriever import Footprint, Ranking, Retriever, padded


class Rerank(Retriever):
    def __init__(self, captioner: Captioner, first: Retriever, n: int, seed: int = 0) -> None:
        self.captioner, self.first, self.n = captioner, first, n
        self.prepared: Any = None

    def index(self, gallery: Contents) -> None:
        """The first retriever comes indexed already; what the captioner needs of the media is made here."""
        self.prepared = np.asarray(self.captioner.prepare(gallery))

    def search(self, queries: Contents, k: int) -> Ranking:
        proposed = self.first.search(queries, self.n).ids  # (Q, n)
        with stage("rerank"):
            query, place = np.nonzero(proposed >= 0)
            pairs = np.stack([query, proposed[query, place]], axis=1)
            scores = np.full(proposed.shape, -np.inf, np.float32)
            scores[query, place] = self.captioner.likelihood(list(queries), self._media(), pairs)
        order = np.argsort(-scores, axis=1, kind="stable")
        ids = np.take_along_axis(proposed, order, axis=1)
        return padded(ids, np.take_along_axis(scores, order, axis=1), len(queries), k)

    def _media(self) -> Any:
        import torch

        return torch.from_numpy(self.prepared)

    def save(self, folder: Path) -> None:
        np.save(folder / "prepared.npy", self.prepared)

    def load(self, folder: Path) -> None:
        self.prepared = np.load(folder / "prepared.npy", allow_pickle=False)

    def footprint(self) -> Footprint:
        first = self.first.footprint()
        return Footprint(first.index_bytes + self.prepared.nbytes, first.parameters + self.captioner.parameters)

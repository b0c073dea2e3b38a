"""A control: the query against generated captions of each candidate, in the dual tower's own space of texts.

It uses captions and nothing else: a method that doesn't beat it owes its gain to the captioner.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from baselines.indexes import ExactIndex
from harness.contract.dataset import Contents, texts
from harness.contract.instruments import Captioner, Encoder
from harness.contract.retriever import Footprint, Ranking, Retriever
from harness.contract.settings import Settings
from harness.machine.compute import stage


class CaptionMatch(Retriever):
    def __init__(self, settings: Settings, encoder: Encoder, captioner: Captioner) -> None:
        self.encoder, self.captioner = encoder, captioner
        self.neighbours = ExactIndex()

    def index(self, gallery: Contents) -> None:
        self.neighbours.build(self._means(gallery))

    def add(self, contents: Contents) -> None:
        self.neighbours.add(self._means(contents))

    def _means(self, contents: Contents) -> np.ndarray:
        """float32 [n, dim]: the direction of the mean of each candidate's captions."""
        captions = self.captioner.captions(contents)
        if not captions:
            return np.empty((0, self.encoder.dim), np.float32)
        vectors = self.encoder.encode(texts([text for each in captions for text in each]))
        starts = np.cumsum([0, *map(len, captions[:-1])])
        total = np.add.reduceat(vectors, starts, axis=0)
        return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)

    def search(self, queries: Contents, k: int) -> Ranking:
        with stage("encode"):
            vectors = self.encoder.encode(queries)
        with stage("search"):
            return self.neighbours.search(vectors, k)

    def save(self, folder: Path) -> None:
        self.neighbours.save(folder)

    def load(self, folder: Path) -> None:
        self.neighbours.load(folder)

    def footprint(self) -> Footprint:
        return Footprint(self.neighbours.vectors.nbytes, self.encoder.parameters)

    def counts(self) -> Mapping[str, int]:
        return self.neighbours.counts()

    def reset_counts(self) -> None:
        self.neighbours.reset_counts()

"""The dual tower: queries and candidates are encoded apart, and the nearest candidates are looked up in an index.

With the encoder's vectors, or, with `start`, those that a `dual_tuned` has learnt for this gallery: FAISS can compress
what was learnt too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from baselines import index_trial, index_tuning, indexes
from baselines.faiss_index import FaissIndex
from baselines.settings import DualTowerSettings
from harness.contract.dataset import Contents, Pairs
from harness.contract.instruments import Encoder
from harness.contract.retriever import Footprint, Ranking, Retriever
from harness.machine.compute import stage


class Tuned(Protocol):
    """A retriever that has learnt vectors for the gallery, and a text side that matches them."""

    vectors: np.ndarray  # float32 [N, dim]

    def encode(self, texts: list[str]) -> np.ndarray: ...

    def place(self, contents: Contents) -> np.ndarray: ...

    def footprint(self) -> Footprint: ...


class DualTower(Retriever):
    def __init__(self, settings: DualTowerSettings, encoder: Encoder, seed: int, start: Tuned | None = None) -> None:
        self.encoder, self.start, self.seed = encoder, start, seed
        self.neighbours = indexes.make(settings.index, settings.search)
        self.aim = index_tuning.aim(settings.index, settings.search, settings.tune)
        self.probes = np.empty((0, 0), np.float32)
        self.tuned: dict[str, Any] | None = None

    def fit(self, train: Pairs, validation: Pairs) -> None:
        """Keep the queries to tune with: those of validation, or else those of train."""
        if self.aim:
            queries = validation.queries if len(validation.queries) else train.queries
            some = queries[index_tuning.some(len(queries), self.seed)]
            self.probes = self.encoder.embed(some) if self.start is None else self.start.encode(list(some))

    def index(self, gallery: Contents) -> None:
        vectors = self.encoder.embed(gallery) if self.start is None else self.start.vectors
        self._refuse_deadly(vectors)
        self.neighbours.build(vectors)
        if self.aim and len(vectors):
            if not len(self.probes):
                raise ValueError("tune: neither validation nor train has queries to tune with; write `search` instead")
            exact = indexes.ExactIndex()
            exact.build(vectors)
            wanted = exact.search(self.probes, min(self.aim.k, len(vectors))).ids
            self.tuned = index_tuning.tune(self.neighbours, self.probes, wanted, vectors, self.aim)

    def add(self, contents: Contents) -> None:
        if self.aim and not self.tuned:  # the gallery was empty so far
            self.index(contents)
        else:
            vectors = self.encoder.embed(contents) if self.start is None else self.start.place(contents)
            self._refuse_deadly(vectors)
            self.neighbours.add(vectors)

    def _refuse_deadly(self, vectors: np.ndarray) -> None:
        if isinstance(self.neighbours, FaissIndex):
            index_trial.refuse_deadly(self.neighbours.factory, self.neighbours.settings, vectors.shape[1], len(vectors))

    def search(self, queries: Contents, k: int) -> Ranking:
        with stage("encode"):
            vectors = self.encoder.encode(queries) if self.start is None else self.start.encode(list(queries))
        with stage("search"):
            return self.neighbours.search(vectors, k)

    def save(self, folder: Path) -> None:
        self.neighbours.save(folder)
        if self.tuned:
            (folder / "tuned.json").write_text(json.dumps(self.tuned))

    def load(self, folder: Path) -> None:
        self.neighbours.load(folder)
        if self.aim and (folder / "tuned.json").is_file():
            self.tuned = json.loads((folder / "tuned.json").read_text())
            assert isinstance(self.neighbours, FaissIndex)
            self.neighbours.change(self.tuned["setting"], self.tuned["value"])

    def footprint(self) -> Footprint:
        growing, constant = self.neighbours.sizes()
        models = self.encoder.parameters if self.start is None else self.start.footprint().parameters
        return Footprint(growing, models, constant)

    def counts(self) -> Mapping[str, int]:
        return self.neighbours.counts()

    def reset_counts(self) -> None:
        self.neighbours.reset_counts()

    def details(self) -> Mapping[str, Any]:
        engine: dict[str, Any] = {"engine": self.neighbours.engine()}
        return {**engine, "tuned": self.tuned} if self.tuned else engine

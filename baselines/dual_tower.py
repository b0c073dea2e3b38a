"""The dual tower: queries and candidates are encoded apart, and the nearest candidates are looked up in an index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from baselines import indexes
from harness.compute import stage
from harness.dataset import Contents
from harness.instruments import Encoder
from harness.retriever import Footprint, Ranking, Retriever


class DualTower(Retriever):
    def __init__(
        self, encoder: Encoder, index: str = "exact", search: Mapping[str, int] | None = None, seed: int = 0
    ) -> None:
        self.encoder = encoder
        self.neighbours = indexes.make(index, search or {})

    def index(self, gallery: Contents) -> None:
        self.neighbours.build(self.encoder.embed(gallery))

    def add(self, contents: Contents) -> None:
        self.neighbours.add(self.encoder.embed(contents))

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
        return Footprint(self.neighbours.bytes(), self.encoder.parameters)

"""Contestants that keep the referee honest: their results are known beforehand.

`null` answers nothing and costs nothing, `random` and `constant` find by chance, `oracle` is told the answers.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from harness.contract.dataset import Contents, Links
from harness.contract.entry import Entry
from harness.contract.retriever import PAD, Footprint, Ranking, Retriever, padded
from harness.contract.settings import Settings


class Control(Retriever):
    """What they share: all they keep of a gallery is its size."""

    def __init__(self, settings: Settings) -> None:
        self.size = 0

    def index(self, gallery: Contents) -> None:
        self.size = len(gallery)

    def add(self, contents: Contents) -> None:
        self.size += len(contents)

    def save(self, folder: Path) -> None:
        (folder / "control.json").write_text(json.dumps({"size": self.size}))

    def load(self, folder: Path) -> None:
        self.size = json.loads((folder / "control.json").read_text())["size"]

    def footprint(self) -> Footprint:
        return Footprint(0, 0)


class Null(Control):
    """Answers nothing: what it takes is what the referee takes."""

    def search(self, queries: Contents, k: int) -> Ranking:
        shape = (len(queries), k)
        return Ranking(np.full(shape, PAD, np.int64), np.full(shape, -np.inf, np.float32))


class Random(Control):
    """An order drawn for each query by its place in the dataset: batches change nothing, nor do equal queries.

    Drawn from what it says or shows, a caption that stands a thousand times would make one draw count a thousandfold.
    """

    def __init__(self, settings: Settings, seed: int) -> None:
        super().__init__(settings)
        self.seed = seed

    def search(self, queries: Contents, k: int) -> Ranking:
        found = min(k, self.size)
        drawn = [np.random.default_rng([self.seed, place]) for place in queries.positions.tolist()]
        ids = np.array([rng.choice(self.size, found, replace=False) for rng in drawn], np.int64).reshape(
            len(queries), found
        )
        return padded(ids, np.broadcast_to(-np.arange(found, dtype=np.float32), ids.shape), len(queries), k)


class Constant(Control):
    """The same order for every query, all scores equal: what ties earn."""

    def search(self, queries: Contents, k: int) -> Ranking:
        found = min(k, self.size)
        ids = np.broadcast_to(np.arange(found), (len(queries), found))
        return padded(ids, np.zeros(ids.shape, np.float32), len(queries), k)


class Oracle(Control):
    """Is told who matches whom, through the one door that the runner has for it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.answers: dict[int, np.ndarray] = {}

    def peek(self, queries: Contents, links: Links) -> None:
        """The door: the queries to come and their right answers. By position, since texts may occur twice."""
        self.answers = {place: links.of(query) for query, place in enumerate(queries.positions.tolist())}

    def search(self, queries: Contents, k: int) -> Ranking:
        ids = np.full((len(queries), k), PAD, np.int64)
        nothing = np.empty(0, np.int64)
        for row, place in enumerate(queries.positions.tolist()):
            right = self.answers.get(place, nothing)[:k]
            ids[row, : len(right)] = right
        return padded(ids, np.zeros(ids.shape, np.float32), len(queries), k)


NULL = Entry("baselines.controls:Null", about="answers nothing: what the referee itself costs", paradigm="control")
RANDOM = Entry(
    "baselines.controls:Random",
    about="a random order for each query",
    version=2,
    paradigm="control",
    needs=("seed",),
)
CONSTANT = Entry("baselines.controls:Constant", about="the same order for every query", paradigm="control")
ORACLE = Entry("baselines.controls:Oracle", about="is told the answers", paradigm="control", needs=("links",))

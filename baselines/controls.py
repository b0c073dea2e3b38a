"""Contestants whose results are known beforehand, to check the referee.

`null` answers nothing and costs nothing, `random` and `constant` find by chance, `oracle` knows the answers.
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
    """A control keeps of a gallery its size alone."""

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
    """Answers nothing: its time is the referee's own."""

    def search(self, queries: Contents, k: int) -> Ranking:
        shape = (len(queries), k)
        return Ranking(np.full(shape, PAD, np.int64), np.full(shape, -np.inf, np.float32))


class Random(Control):
    """A random order for each query, seeded by its number among all, so that batches change nothing.

    Seeded by its content, a caption that occurs a thousand times would make one draw count a thousandfold.
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
    """The same order for every query, all scores equal: what ties are worth."""

    def search(self, queries: Contents, k: int) -> Ranking:
        found = min(k, self.size)
        ids = np.broadcast_to(np.arange(found), (len(queries), found))
        return padded(ids, np.zeros(ids.shape, np.float32), len(queries), k)


class Oracle(Control):
    """Knows the right answers, which the runner gives to this retriever alone."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.answers = Links.listed([])

    def peek(self, links: Links) -> None:
        """Take the right answers of all queries, by their numbers: a text may occur twice."""
        self.answers = links

    def search(self, queries: Contents, k: int) -> Ranking:
        ids = np.full((len(queries), k), PAD, np.int64)
        for row, number in enumerate(queries.positions.tolist()):
            if number < len(self.answers):
                right = self.answers.of(number)[:k]
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
ORACLE = Entry("baselines.controls:Oracle", about="knows the answers", paradigm="control", needs=("links",))

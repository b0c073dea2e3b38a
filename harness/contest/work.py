"""What the vectors of recorded datasets will take, before anything was ever encoded: things × products of each.

The products are those of a published checkpoint's architecture (`data.weights`), the things those of a dataset as it
was published (`data.datasets.sources`). Reading media from disk comes on top, in workers beside it. For `estimate`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from harness.contest.costs import Cost
from harness.contest.missing import checkpoints
from harness.data import weights
from harness.data.datasets.sources import SOURCES
from harness.suite.spec import Cell, Component

REACHED = 0.6  # of a plain product's rate, by a whole network in float32


class Vectors(NamedTuple):
    """What one encoder has to make of one split."""

    encoder: str
    dataset: str
    split: str
    things: int
    texts: int
    source: weights.Source

    @property
    def label(self) -> str:
        return f"vectors of {self.dataset}/{self.split} by {self.encoder}"

    def cost(self, gflops: float) -> Cost:
        thing, text = self.source.gflop
        work = self.things * thing + self.texts * text
        disk = 4e-6 * self.source.dim * (self.things + self.texts)
        return Cost(work / (REACHED * gflops), self.source.memory_mb, disk)


def vectors(cells: Iterable[Cell]) -> Iterator[Vectors]:
    """Each split of each encoder once: the one that is asked, and the train split where something learns from it."""
    asked: dict[tuple[str, str, str], Vectors] = {}
    for cell in cells:
        dataset = cell.task.dataset
        parts = list(cell.parts())
        trained = [part for part in parts if part.arguments.get("steps") or part.arguments.get("tune")]
        for encoder in [part for part in parts if part.section == "encoders"]:
            for split in [cell.task.split, *(["train"] if trained else [])]:
                found = _vectors(encoder, dataset, split)
                if found:
                    asked.setdefault((encoder.digest, dataset.digest, split), found)
    yield from asked.values()


def _vectors(encoder: Component, dataset: Component, split: str) -> Vectors | None:
    named = [weights.SOURCES.get(name) for name in checkpoints(encoder).values()]
    source = next((each for each in named if each and each.gflop[0]), None)
    if source is None or dataset.kind not in SOURCES:
        return None
    counts = SOURCES[dataset.kind].counts
    items, texts = counts.get(f"{dataset.arguments.get('protocol')}/{split}", counts[split])
    frames = int(encoder.arguments.get("frames", 1)) if dataset.modality == "video" else 1
    return Vectors(encoder.name, dataset.name, split, items * frames, texts, source)


def quick_gflops() -> float:
    """What this machine multiplies now, by numpy, which is near what it does in training."""
    import numpy as np

    one, other = np.ones((1280, 192), np.float32), np.ones((192, 768), np.float32)
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        one @ other
        taken.append(time.perf_counter() - begun)
    return 2 * one.size * other.shape[1] / min(taken) / 1e9

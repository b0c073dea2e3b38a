"""Every retriever that the conformance test runs through. Adding a retriever is adding one line to CASES."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kit import Kit

from baselines.controls import Constant, Null, Oracle, Random
from baselines.dual_tower import DualTower
from harness.retriever import Retriever

sys.path.append(str(Path(__file__).parents[1] / "fixtures" / "outside"))

from outside.lengths import Lengths


@dataclass(frozen=True)
class Case:
    build: Callable[[Kit], Retriever]
    directions: tuple[str, ...] = ("text-audio", "audio-text")
    smallest: int = 1  # a gallery with fewer candidates may be refused: a ValueError that says so
    grows: bool = True  # what it keeps grows with the gallery
    learns: bool = False  # from the gallery, how to store it: what is added later is stored a little worse


def dual(index: str, **search: int) -> Callable[[Kit], Retriever]:
    return lambda kit: DualTower(kit.encoder, index, search)


CASES: Mapping[str, Case] = {
    "null": Case(lambda kit: Null(), grows=False),
    "random": Case(lambda kit: Random(seed=3), grows=False),
    "constant": Case(lambda kit: Constant(), grows=False),
    "oracle": Case(lambda kit: Oracle(), grows=False),
    "exact": Case(dual("exact")),
    "exact-image": Case(dual("exact"), ("text-image", "image-text")),
    "exact-video": Case(dual("exact"), ("text-video", "video-text")),
    "flat": Case(dual("Flat")),
    "hnsw": Case(dual("HNSW8,Flat", efSearch=256)),  # deep enough to see a tiny gallery whole
    "ivf": Case(dual("IVF4,Flat", nprobe=2), smallest=4, learns=True),
    "pq": Case(dual("PQ4x4"), smallest=16, learns=True),
    "pca-sq": Case(dual("PCA8,SQ8"), smallest=8, learns=True),
    "outside": Case(lambda kit: Lengths()),
}

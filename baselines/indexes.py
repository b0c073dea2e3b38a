"""Nearest neighbours by inner product: `exact` (one product and a top-k), or whatever a FAISS factory string names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor

from baselines.faiss_index import FaissIndex, on_gpu, refuse
from harness.contract.retriever import Ranking, padded
from harness.machine import compute

BLOCK = 1 << 24  # scores held at once: 64 MB


class Index(Protocol):
    """Vectors in, neighbours out. Built by `make`; knows nothing of encoders."""

    def build(self, vectors: np.ndarray) -> None: ...
    def add(self, vectors: np.ndarray) -> None: ...
    def search(self, queries: np.ndarray, k: int) -> Ranking: ...
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...
    def sizes(self) -> tuple[int, int]: ...  # bytes that grow with the gallery, and those that don't
    def engine(self) -> str: ...


class ExactIndex:
    """Scores every candidate, with the same kernels as all linear layers."""

    def __init__(self) -> None:
        self.vectors = np.empty((0, 0), np.float32)
        self.product: Callable[[Tensor], Tensor] | None = None

    def build(self, vectors: np.ndarray) -> None:
        # vectors from the store are read-only, which torch doesn't support: those are copied
        self.vectors = np.require(vectors, np.float32, ["C", "W"])
        self.product = compute.product(torch.from_numpy(self.vectors)) if len(vectors) else None

    def add(self, vectors: np.ndarray) -> None:
        self.build(np.concatenate([self.vectors, vectors]) if self.vectors.size else vectors)

    def search(self, queries: np.ndarray, k: int) -> Ranking:
        count, found = len(queries), min(k, len(self.vectors))
        if not count or not found or self.product is None:
            return padded(np.empty((count, 0), np.int64), np.empty((count, 0), np.float32), count, k)
        asked = torch.from_numpy(np.require(queries, np.float32, ["C", "W"]))
        with torch.inference_mode():
            blocks = asked.to(compute.current().device).split(max(1, BLOCK // len(self.vectors)))
            parts = [torch.topk(self.product(block), found) for block in blocks]
            ids = torch.cat([part.indices for part in parts]).cpu().numpy()
            scores = torch.cat([part.values for part in parts]).float().cpu().numpy()  # halves where one trains
        return padded(ids, scores, count, k)

    def save(self, folder: Path) -> None:
        save_file({"vectors": self.vectors}, folder / "exact.safetensors")

    def load(self, folder: Path) -> None:
        self.build(load_file(folder / "exact.safetensors")["vectors"])

    def sizes(self) -> tuple[int, int]:
        return self.vectors.nbytes, 0

    def engine(self) -> str:
        return f"torch on {compute.current().device}"


def make(factory: str, settings: Mapping[str, int]) -> Index:
    refuse(factory, settings)
    if factory == "exact" or (
        factory == "Flat" and not settings and compute.current().device == "cuda" and not on_gpu()
    ):
        return ExactIndex()  # for `Flat` the same answers, from torch on the GPU
    return FaissIndex(factory, settings)

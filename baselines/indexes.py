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
COLUMNS = 1 << 16  # candidates scored at once, so that of a large gallery enough queries go together
PAIRS = 1 << 16  # scored at once, where only these are asked for
CHUNK = 512  # scores of which one has to be looked at first, see `_top`


class Index(Protocol):
    """Vectors in, neighbours out. Built by `make`; knows nothing of encoders."""

    def build(self, vectors: np.ndarray) -> None: ...
    def add(self, vectors: np.ndarray) -> None: ...
    def search(self, queries: np.ndarray, k: int) -> Ranking: ...
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...
    def sizes(self) -> tuple[int, int]: ...  # bytes that grow with the gallery, and those that don't
    def engine(self) -> str: ...
    def counts(self) -> dict[str, int]: ...  # operations since the last reset
    def reset_counts(self) -> None: ...


class ExactIndex:
    """Scores every candidate, with the same kernels as all linear layers."""

    def __init__(self) -> None:
        self.vectors = np.empty((0, 0), np.float32)
        self.parts: list[Callable[[Tensor], Tensor]] = []  # products with COLUMNS candidates each
        self.products = 0  # inner products since the last reset

    def build(self, vectors: np.ndarray) -> None:
        # vectors from the store are read-only, which torch doesn't support: those are copied
        self.vectors = np.require(vectors, np.float32, ["C", "W"])
        parts = torch.from_numpy(self.vectors).split(COLUMNS) if len(vectors) else ()
        self.parts = [compute.product(part) for part in parts]

    def add(self, vectors: np.ndarray) -> None:
        self.build(np.concatenate([self.vectors, vectors]) if self.vectors.size else vectors)

    def search(self, queries: np.ndarray, k: int) -> Ranking:
        count, found = len(queries), min(k, len(self.vectors))
        if not count or not found:
            return padded(np.empty((count, 0), np.int64), np.empty((count, 0), np.float32), count, k)
        self.products += count * len(self.vectors)
        asked = torch.from_numpy(np.require(queries, np.float32, ["C", "W"]))
        with torch.inference_mode():
            blocks = asked.to(compute.current().device).split(max(1, BLOCK // min(COLUMNS, len(self.vectors))))
            parts = [self._nearest(block, found) for block in blocks]
            scores, ids = (torch.cat(each).cpu() for each in zip(*parts, strict=True))
        return padded(ids.numpy(), scores.float().numpy(), count, k)  # halves where one trains

    def _nearest(self, block: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Scores and positions (Q, k), best first."""
        found = [_top(product(block), k) for product in self.parts]
        if len(found) == 1:
            return found[0]
        scores = torch.cat([part for part, _ in found], 1)
        ids = torch.cat([part + number * COLUMNS for number, (_, part) in enumerate(found)], 1)
        best = torch.topk(scores, k)
        return best.values, ids.gather(1, best.indices)

    def pairs(self, queries: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """float32 [pairs]: the scores of some pairs (query, candidate) alone, int64 [pairs, 2]."""
        self.products += len(pairs)
        blocks = np.split(pairs, range(PAIRS, len(pairs), PAIRS))
        found = [np.einsum("pd,pd->p", queries[some[:, 0]], self.vectors[some[:, 1]]) for some in blocks]
        return np.concatenate(found).astype(np.float32)

    def save(self, folder: Path) -> None:
        save_file({"vectors": self.vectors}, folder / "exact.safetensors")

    def load(self, folder: Path) -> None:
        self.build(load_file(folder / "exact.safetensors")["vectors"])

    def sizes(self) -> tuple[int, int]:
        return self.vectors.nbytes, 0

    def engine(self) -> str:
        return f"torch on {compute.current().device}"

    def counts(self) -> dict[str, int]:
        return {"products": self.products}

    def reset_counts(self) -> None:
        self.products = 0


def _top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best (Q, k) of scores (Q, N), and where they stand.

    They lie in the k chunks whose best is best: of many scores it is several times as fast to look for these first.
    """
    count = scores.shape[1]
    whole = count // CHUNK
    if whole < 4 * k:
        best = torch.topk(scores, min(k, count))
        return best.values, best.indices
    chunks = scores[:, : whole * CHUNK].unflatten(1, (whole, CHUNK))
    chosen = torch.topk(chunks.amax(2), k).indices  # (Q, k)
    inside = chunks.gather(1, chosen[..., None].expand(-1, -1, CHUNK)).flatten(1)
    places = (chosen[..., None] * CHUNK + torch.arange(CHUNK, device=scores.device)).flatten(1)
    rest = torch.arange(whole * CHUNK, count, device=scores.device).expand(len(scores), -1)
    best = torch.topk(torch.cat([inside, scores[:, whole * CHUNK :]], 1), k)
    return best.values, torch.cat([places, rest], 1).gather(1, best.indices)


def make(factory: str, settings: Mapping[str, int]) -> Index:
    refuse(factory, settings)
    if factory == "exact" or (
        factory == "Flat" and not settings and compute.current().device == "cuda" and not on_gpu()
    ):
        return ExactIndex()  # for `Flat` the same answers, from torch on the GPU
    return FaissIndex(factory, settings)

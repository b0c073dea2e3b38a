"""Nearest neighbours by inner product: `exact` (one product and a top-k), or whatever a FAISS factory string names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor

from harness import compute, finite
from harness.retriever import Ranking, padded

BLOCK = 1 << 24  # scores held at once: 64 MB
TOO_FEW = re.compile(r"(HNSW[01]|NSG[0-3]|(IVF|PQ|PCA)0)(?!\d)")  # FAISS takes some of these, and dies or hangs later


class Index(Protocol):
    """Vectors in, neighbours out. Built by `make`; knows nothing of encoders."""

    def build(self, vectors: np.ndarray) -> None: ...
    def add(self, vectors: np.ndarray) -> None: ...
    def search(self, queries: np.ndarray, k: int) -> Ranking: ...
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...
    def bytes(self) -> int: ...
    def engine(self) -> str: ...


class ExactIndex:
    """Scores every candidate. The product goes through the same kernels as everybody's linear layers."""

    def __init__(self) -> None:
        self.vectors = np.empty((0, 0), np.float32)
        self.product: Callable[[Tensor], Tensor] | None = None

    def build(self, vectors: np.ndarray) -> None:
        # what comes from the store is mapped read-only, which torch doesn't know: then it's copied
        self.vectors = np.require(vectors, np.float32, ["C", "W"])
        self.product = compute.product(torch.from_numpy(self.vectors)) if len(vectors) else None

    def add(self, vectors: np.ndarray) -> None:
        self.build(np.concatenate([self.vectors, vectors]) if self.vectors.size else vectors)

    def search(self, queries: np.ndarray, k: int) -> Ranking:
        count, found = len(queries), min(k, len(self.vectors))
        if not count or not found or self.product is None:
            return padded(np.empty((count, 0), np.int64), np.empty((count, 0), np.float32), count, k)
        block = max(1, BLOCK // len(self.vectors))
        queries = np.require(queries, np.float32, ["C", "W"])
        parts = []
        with torch.inference_mode():
            for start in range(0, count, block):
                asked = torch.from_numpy(queries[start : start + block]).to(compute.current().device)
                parts.append(torch.topk(self.product(asked), found))
            ids = torch.cat([part.indices for part in parts]).cpu().numpy()
            scores = torch.cat([part.values for part in parts]).cpu().numpy()
        return padded(ids, scores, count, k)

    def save(self, folder: Path) -> None:
        save_file({"vectors": self.vectors}, folder / "exact.safetensors")

    def load(self, folder: Path) -> None:
        self.build(load_file(folder / "exact.safetensors")["vectors"])

    def bytes(self) -> int:
        return self.vectors.nbytes

    def engine(self) -> str:
        return f"torch on {compute.current().device}"


class FaissIndex:
    """Any factory string, such as `Flat`, `HNSW32,Flat` or `OPQ16,IVF64,PQ16`, with its search settings."""

    def __init__(self, factory: str, settings: Mapping[str, int]) -> None:
        self.factory = factory
        self.settings = dict(settings)
        self.index: Any = None
        self.placed: Any = None  # the same on a GPU, where one is used
        self.resources: Any = None  # of the GPU: they have to last as long

    def build(self, vectors: np.ndarray) -> None:
        faiss = compute.faiss()
        vectors = self._checked(vectors)
        try:
            self.index = faiss.index_factory(vectors.shape[1], self.factory, faiss.METRIC_INNER_PRODUCT)
        except RuntimeError as error:
            raise ValueError(
                f"index {self.factory!r}: FAISS knows no such factory string for vectors of dimension "
                f"{vectors.shape[1]}{_words(error)}; write `exact`, `Flat`, `HNSW32,Flat` or `IVF64,Flat`, say"
            ) from error
        if len(vectors):
            try:
                self.index.train(vectors)
                self.index.add(vectors)
            except RuntimeError as error:
                raise ValueError(
                    f"index {self.factory!r} can't be built from {len(vectors)} vectors{_words(error)}; "
                    "use fewer cells or codes, or a larger gallery"
                ) from error
        self._place()

    def add(self, vectors: np.ndarray) -> None:
        if self.index is None or not self.index.is_trained:
            self.build(vectors)
        else:
            self.index.add(self._checked(vectors))
            self._place()

    def _checked(self, vectors: np.ndarray) -> np.ndarray:
        """Its files can't be looked into before they are stored: what goes in is."""
        finite.require(vectors, f"index {self.factory!r}")
        return np.ascontiguousarray(vectors, np.float32)

    def search(self, queries: np.ndarray, k: int) -> Ranking:
        count = len(queries)
        if not count or self.index is None or not self.index.ntotal:
            return padded(np.empty((count, 0), np.int64), np.empty((count, 0), np.float32), count, k)
        index = self.index if self.placed is None else self.placed
        scores, ids = index.search(np.ascontiguousarray(queries, np.float32), min(k, self.index.ntotal))
        return padded(ids, scores, count, k)

    def save(self, folder: Path) -> None:
        compute.faiss().write_index(self.index, str(folder / "index.faiss"))

    def load(self, folder: Path) -> None:
        self.index = compute.faiss().read_index(str(folder / "index.faiss"))
        self._place()

    def bytes(self) -> int:
        return 0 if self.index is None else int(compute.faiss().serialize_index(self.index).nbytes)

    def size(self) -> int:
        return 0 if self.index is None else int(self.index.ntotal)

    def cells(self) -> int:
        """Of an inverted file: as many as can be looked into."""
        return int(compute.faiss().extract_index_ivf(self.index).nlist)

    def turn(self, name: str, value: int) -> None:
        """Change a search setting."""
        self.settings[name] = value
        self._settle()

    def engine(self) -> str:
        return "faiss on cpu" if self.placed is None else "faiss on cuda"

    def _place(self) -> None:
        """On the GPU, where there is one, faiss was built for it, and it knows this kind of index."""
        faiss = compute.faiss()
        self.placed = None
        if compute.current().device == "cuda" and _on_gpu():
            with suppress(RuntimeError):  # HNSW, say: it stays where it is
                self.resources = faiss.StandardGpuResources()
                self.placed = faiss.index_cpu_to_gpu(self.resources, 0, self.index)
        self._settle()

    def _settle(self) -> None:
        """Search settings by their FAISS names: nprobe, efSearch, …"""
        faiss = compute.faiss()
        for space, index in ((faiss.ParameterSpace, self.index), ("GpuParameterSpace", self.placed)):
            if index is None:
                continue
            made = getattr(faiss, space)() if isinstance(space, str) else space()
            for name, value in self.settings.items():
                try:
                    made.set_index_parameter(index, name, value)
                except RuntimeError as error:
                    raise ValueError(
                        f"search setting {name}: {value}: index {self.factory!r} has no such setting{_words(error)}; "
                        "HNSW takes efSearch, IVF takes nprobe"
                    ) from error


def _words(error: Exception) -> str:
    """What FAISS says of the cause, without its function names and source files; often it's nothing."""
    words = str(error).strip().rpartition(": Error: ")
    return f" ({words[2].splitlines()[0][:160]})" if words[1] else ""


def _on_gpu() -> bool:
    """Whether this faiss was built for GPUs and sees one."""
    return bool(getattr(compute.faiss(), "get_num_gpus", int)())


def make(factory: str, settings: Mapping[str, int]) -> Index:
    if factory == "exact":
        if settings:
            raise ValueError(f"index exact searches everything: it takes no setting, found {dict(settings)}")
        return ExactIndex()
    few = TOO_FEW.search(factory)
    if few:
        raise ValueError(f"index {factory!r}: {few[0]} asks for too few; write a larger number")
    for name, value in settings.items():
        if name.endswith(("nprobe", "efSearch")) and value < 1:
            raise ValueError(f"search setting {name}: {value}: it looks at nothing; write a number from 1 up")
    if factory == "Flat" and not settings and compute.current().device == "cuda" and not _on_gpu():
        return ExactIndex()  # the same answers, from torch on the GPU
    return FaissIndex(factory, settings)

"""Nearest neighbours: exact search, FAISS's families behind our interface, and the product of all linear layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import torch
import torch.nn.functional as F

from baselines import indexes
from baselines.faiss_index import FaissIndex
from harness.contract.retriever import Ranking
from harness.machine import compute
from kernels import Kernel

SIZE, DIM, K = 20_000, 128, 10
FAMILIES = {  # factory strings, with settings that look at some of what is stored
    "Flat": {},
    "IVF64,Flat": {"nprobe": 8},
    "HNSW16,Flat": {"efSearch": 64},
    "PQ16": {},
    "SQ8": {},
    "LSH": {},
}


@cache
def cloud(count: int, seed: int) -> np.ndarray:
    """Unit vectors, wide in a few directions and narrow in most, as embeddings are."""
    rows = np.random.default_rng(seed).normal(size=(count, DIM)) / np.sqrt(np.arange(1, DIM + 1))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@cache
def built(factory: str) -> indexes.Index:
    index = indexes.make(factory, FAMILIES.get(factory, {}))
    index.build(cloud(SIZE, 0))
    return index


def by_numpy(queries: np.ndarray) -> np.ndarray:
    scores = queries @ cloud(SIZE, 0).T
    first = np.argpartition(-scores, K, axis=1)[:, :K]
    return np.take_along_axis(first, np.argsort(-np.take_along_axis(scores, first, axis=1), axis=1), axis=1)


@torch.inference_mode()
def by_torch(queries: np.ndarray) -> np.ndarray:
    return F.linear(torch.from_numpy(queries), torch.from_numpy(cloud(SIZE, 0))).topk(K).indices.numpy()


def by_faiss(factory: str, queries: np.ndarray) -> np.ndarray:
    index = built(factory)
    assert isinstance(index, FaissIndex)
    return index.index.search(queries, K)[1]


def _nearly(ours: Ranking, theirs: np.ndarray) -> bool:
    return float(np.mean(ours.ids == theirs)) > 0.99  # near-ties may swap places


def _exact(count: int, against: str, rival: Callable[[np.ndarray], np.ndarray], why: str) -> Kernel:
    queries, index = cloud(count, 1), built("exact")
    name = f"exact search, {count} of {SIZE:,} × {DIM}"
    return Kernel(name, lambda: index.search(queries, K), against, lambda: rival(queries), _nearly, why)


def _family(factory: str, count: int) -> Kernel:
    queries, index = cloud(count, 1), built(factory)
    name = f"index {factory}, {count} of {SIZE:,} × {DIM}"
    why = "the same search: our checks, counts and padding (some 20 µs a call) are what differs"
    rival = partial(by_faiss, factory, queries)
    return Kernel(name, lambda: index.search(queries, K), "faiss itself", rival, _nearly, why)


def _product(rows: int) -> Kernel:
    torch.manual_seed(0)
    weight, bias, x = torch.randn(768, 192), torch.randn(768), torch.randn(rows, 192)
    multiply = compute.product(weight, bias)

    def run(linear: Callable[[], torch.Tensor]) -> torch.Tensor:
        with torch.inference_mode():
            return linear()

    return Kernel(
        f"linear layer, {rows} × 192 → 768",
        lambda: run(lambda: multiply(x)),
        "torch.nn.functional.linear",
        lambda: run(lambda: F.linear(x, weight, bias)),
        lambda ours, theirs: torch.allclose(ours, theirs, atol=1e-3),
        "oneDNN with a weight laid out beforehand, where this machine measured it to be faster; else the rival's own",
    )


def exact_one_numpy() -> Kernel:
    return _exact(
        1,
        "numpy: product, argpartition",
        by_numpy,
        "the product is nearly all of it: numpy's is OpenBLAS's, ours the one that all contestants share",
    )


def exact_many_numpy() -> Kernel:
    return _exact(
        128, "numpy: product, argpartition", by_numpy, "choosing ten of each row is most of it: topk is faster"
    )


def exact_many_torch() -> Kernel:
    return _exact(128, "torch: linear, topk", by_torch, "the same but for the product's kernel")


def exact_one_faiss() -> Kernel:
    return _exact(1, "faiss Flat", partial(by_faiss, "Flat"), "faiss keeps the best as it goes; a product needs a topk")


def exact_many_faiss() -> Kernel:
    return _exact(
        128,
        "faiss Flat",
        partial(by_faiss, "Flat"),
        "the wheel's flat index gains next to nothing from asking many at once",
    )


def _named(name: str, make: Callable[[], Kernel]) -> Callable[[], Kernel]:
    make.__name__ = name  # type: ignore[attr-defined]
    return make


KERNELS = (
    *(exact_one_numpy, exact_many_numpy, exact_one_faiss, exact_many_faiss, exact_many_torch),
    *(_named(f"family_{factory}", lambda factory=factory: _family(factory, 128)) for factory in FAMILIES),
    _named("family_HNSW_one", lambda: _family("HNSW16,Flat", 1)),
    *(_named(f"linear_{rows}", lambda rows=rows: _product(rows)) for rows in (1, 20, 640)),
)

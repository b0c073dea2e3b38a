"""Schemes learnt from embeddings: CART's own, and two rivals that quantise in another way.

`Cart` is the paper's (K-Means, then an RQ-VAE on what is left, then a counter). Projecting to principal components
first and balancing the clusters are ours, and can be switched off. `Residual` is IRGen's and AVG's way, `Structured`
that of DSI, NCI and GRACE "structured".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from cart.identifiers import coarse, fine
from cart.identifiers.base import Scheme
from cart.identifiers.coarse import Clusters
from cart.identifiers.fine import Settings

FINE = "fine."  # what the names of the quantiser's tensors begin with
STEP = 1024  # points that go down a hierarchy together


@dataclass(frozen=True)
class Projection:
    """Embeddings without their mean, and of these the main directions."""

    mean: np.ndarray  # [d]
    basis: np.ndarray | None  # [d, pca]; None: all of it

    @staticmethod
    def fit(embeddings: np.ndarray, dims: int | None) -> Projection:
        mean = embeddings.mean(axis=0)
        if dims is None or dims >= embeddings.shape[1]:
            return Projection(mean, None)
        centred = embeddings - mean
        _, vectors = np.linalg.eigh(centred.T @ centred)
        return Projection(mean, np.ascontiguousarray(vectors[:, ::-1][:, :dims]))

    def down(self, embeddings: np.ndarray) -> np.ndarray:
        centred = embeddings - self.mean
        return centred if self.basis is None else centred @ self.basis

    def directions(self, vectors: np.ndarray) -> np.ndarray:
        return vectors if self.basis is None else vectors @ self.basis.T

    def up(self, vectors: np.ndarray) -> np.ndarray:
        return self.directions(vectors) + self.mean

    def arrays(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean} | ({} if self.basis is None else {"basis": self.basis})


@dataclass(eq=False)
class Cart(Scheme):
    """Coarse token + fine tokens (+ counter)."""

    clusters: int = 32
    fine: Settings = field(default_factory=Settings)
    pca: int | None = 64
    balanced: bool = True
    seed: int = 0

    def learn(self, embeddings: np.ndarray) -> np.ndarray:
        self.sizes = (self.clusters, *[self.fine.codes] * self.fine.books)
        self.projection = Projection.fit(embeddings, self.pca)
        points = self.projection.down(embeddings)
        self.coarse = coarse.fit(points, self.clusters, self.balanced, self.seed)
        residuals = points - self.coarse.centroids[self.coarse.assign(points)]
        self.quantiser = fine.fit(residuals, self.fine, self.seed)
        return self.codes(embeddings)

    def codes(self, embeddings: np.ndarray, known: int = 0) -> np.ndarray:
        points = self.projection.down(embeddings)
        cluster = self.coarse.assign(points)
        below = self.quantiser.encode(points - self.coarse.centroids[cluster])
        return np.concatenate([cluster[:, None], below], axis=1)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return self.projection.up(self.coarse.centroids[codes[:, 0]] + self.quantiser.decode(codes[:, 1:]))

    def codewords(self) -> list[np.ndarray] | None:
        if self.fine.network != "linear":
            return None  # after an MLP a vector is no sum of codewords
        centroids = np.zeros((self.clusters, self.coarse.centroids.shape[1]), np.float32)
        centroids[: len(self.coarse.centroids)] = self.coarse.centroids
        books = [book.numpy() * float(self.quantiser.scale) for book in self.quantiser.books]
        return [self.projection.directions(book) for book in (centroids, *books)]

    def arrays(self) -> dict[str, np.ndarray]:
        learnt = {FINE + name: tensor.numpy() for name, tensor in self.quantiser.state_dict().items()}
        coarse = {"centroids": self.coarse.centroids, "prices": self.coarse.prices}
        return {**self.projection.arrays(), **coarse, **learnt}

    def restore(self, arrays: Mapping[str, np.ndarray], sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)
        self.projection = Projection(arrays["mean"], arrays.get("basis"))
        self.coarse = Clusters(arrays["centroids"], arrays["prices"])
        self.quantiser = fine.Quantiser(self.coarse.centroids.shape[1], self.fine).eval().requires_grad_(False)
        learnt = {name.removeprefix(FINE): torch.from_numpy(arrays[name]) for name in arrays if name.startswith(FINE)}
        self.quantiser.load_state_dict(learnt)


@dataclass(eq=False)
class Residual(Cart):
    """The residual quantiser alone; its first codebook takes the place of K-Means, so that the shape is CART's."""

    fine: Settings = field(default_factory=lambda: Settings(books=3))
    clusters: int = field(default=1, init=False)
    balanced: bool = field(default=False, init=False)

    def learn(self, embeddings: np.ndarray) -> np.ndarray:
        codes = super().learn(embeddings)
        self.sizes = self.sizes[1:]
        return codes

    def codes(self, embeddings: np.ndarray, known: int = 0) -> np.ndarray:
        return super().codes(embeddings)[:, 1:]

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return super().decode(np.pad(codes, ((0, 0), (1, 0))))

    def codewords(self) -> list[np.ndarray] | None:
        words = super().codewords()
        return words and words[1:]


@dataclass(eq=False)
class Structured(Scheme):
    """Hierarchical K-Means: every cluster is divided again, by a K-Means of its own."""

    clusters: int = 32
    depth: int = 3
    pca: int | None = 64
    seed: int = 0

    def learn(self, embeddings: np.ndarray) -> np.ndarray:
        self.sizes = (self.clusters,) * self.depth
        self.projection = Projection.fit(embeddings, self.pca)
        points = self.projection.down(embeddings)
        self.centres: list[np.ndarray] = []  # [nodes of the level, d]
        self.starts: list[np.ndarray] = []  # [nodes of the level above + 1]: where each node's parts begin
        node = np.zeros(len(points), np.int64)
        groups = 1
        for level in range(self.depth):
            order = np.argsort(node, kind="stable")
            members = np.split(order, np.cumsum(np.bincount(node, minlength=groups))[:-1])
            parts = [
                coarse.kmeans(points[inside], self.clusters, self.seed + number)
                if len(inside)  # an empty cluster stays as it is: later candidates may fall into it
                else self.centres[-1][number : number + 1]
                for number, inside in enumerate(members)
            ]
            self.centres.append(np.concatenate(parts))
            self.starts.append(np.cumsum([0, *map(len, parts)]))
            node = self._step(points, node, level)
            groups = len(self.centres[-1])
        return self.codes(embeddings)

    def codes(self, embeddings: np.ndarray, known: int = 0) -> np.ndarray:
        points = self.projection.down(embeddings)
        node, codes = np.zeros(len(points), np.int64), []
        for level in range(self.depth):
            below = self._step(points, node, level)
            codes.append(below - self.starts[level][node])
            node = below
        return np.stack(codes, axis=1).astype(np.int32)

    def _step(self, points: np.ndarray, nodes: np.ndarray, level: int) -> np.ndarray:
        """int64 [n]: the nearest of the parts of each point's node."""
        found = []
        for start in range(0, len(points), STEP):
            x, node = points[start : start + STEP], nodes[start : start + STEP]
            first, last = self.starts[level][node], self.starts[level][node + 1]
            parts = first[:, None] + np.arange((last - first).max())  # (n, most parts)
            inside = parts < last[:, None]
            centres = self.centres[level][np.where(inside, parts, 0)]  # (n, most parts, d)
            cost = np.square(centres - x[:, None]).sum(axis=2)
            found.append(first + np.where(inside, cost, np.inf).argmin(axis=1))
        return np.concatenate(found)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        node = np.zeros(len(codes), np.int64)
        for level in range(codes.shape[1]):
            node = self.starts[level][node] + codes[:, level]
        return self.projection.up(self.centres[codes.shape[1] - 1][node])

    def arrays(self) -> dict[str, np.ndarray]:
        levels = {f"centres.{level}": array for level, array in enumerate(self.centres)}
        levels |= {f"starts.{level}": array for level, array in enumerate(self.starts)}
        return {**self.projection.arrays(), **levels}

    def restore(self, arrays: Mapping[str, np.ndarray], sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)
        self.projection = Projection(arrays["mean"], arrays.get("basis"))
        self.centres = [arrays[f"centres.{level}"] for level in range(self.depth)]
        self.starts = [arrays[f"starts.{level}"] for level in range(self.depth)]

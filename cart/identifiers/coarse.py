"""The first token of an identifier: the K-Means cluster of the embedding.

K-Means (by faiss) is the paper's. Balancing is ours: each cluster gets a price that is added to every distance
(Sinkhorn's iteration finds it), so that crowded clusters look farther away; new candidates pay the same prices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.machine import compute

SAMPLE = 256  # points a cluster that K-Means looks at, at most: faiss's own advice
CHUNK = 1 << 16
ROUNDS, STEPS = 5, 40  # of balancing


@dataclass(frozen=True)
class Clusters:
    centroids: np.ndarray  # float32 [K, d]
    prices: np.ndarray  # float32 [K]: zero without balancing

    def assign(self, points: np.ndarray) -> np.ndarray:
        """int32 [n]: the cluster of least squared distance + price."""
        chunks = [points[start : start + CHUNK] for start in range(0, len(points), CHUNK)]
        return np.concatenate([costs(chunk, self.centroids, self.prices).argmin(axis=1) for chunk in chunks]).astype(
            np.int32
        )


def fit(points: np.ndarray, clusters: int, balanced: bool, seed: int) -> Clusters:
    centroids = kmeans(points, clusters, seed)
    prices = np.zeros(len(centroids), np.float32)
    if balanced and 1 < len(centroids) < len(points):
        centroids, prices = _balance(_sample(points, len(centroids), seed, SAMPLE // 4), centroids)
    return Clusters(centroids, prices)


def kmeans(points: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """float32 [K, d]. With no more distinct points than clusters, the points themselves: K may then be less."""
    sample = _sample(points, clusters, seed)
    distinct = np.unique(sample, axis=0) if len(sample) <= clusters else _few_distinct(sample, clusters)
    if distinct is not None:
        return distinct
    faiss = compute.faiss()
    trained = faiss.Kmeans(
        points.shape[1], clusters, niter=20, seed=seed + 1, min_points_per_centroid=1, max_points_per_centroid=SAMPLE
    )
    trained.train(np.ascontiguousarray(sample))
    return np.asarray(trained.centroids, np.float32).reshape(clusters, -1).copy()


def costs(points: np.ndarray, centroids: np.ndarray, prices: np.ndarray | float = 0.0) -> np.ndarray:
    """float32 [n, K]: squared distance + price, without the term that is the same for all clusters."""
    return np.square(centroids).sum(axis=1) + prices - 2 * points @ centroids.T


def _sample(points: np.ndarray, clusters: int, seed: int, each: int = SAMPLE) -> np.ndarray:
    most = each * clusters
    if len(points) <= most:
        return points
    return points[np.sort(np.random.default_rng(seed).choice(len(points), most, replace=False))]


def _few_distinct(points: np.ndarray, clusters: int) -> np.ndarray | None:
    """The distinct points if there are no more than `clusters`; stops looking when there are."""
    found: dict[bytes, int] = {}
    for row, point in enumerate(points + 0.0):  # + 0.0 turns -0.0 into 0.0
        found.setdefault(point.tobytes(), row)
        if len(found) > clusters:
            return None
    return points[list(found.values())]


def _balance(points: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K-Means of equal shares: prices by Sinkhorn's iteration with less and less blur, then means, in turns."""
    prices = np.zeros(len(centroids), np.float32)
    for _ in range(ROUNDS):
        cost = costs(points, centroids)
        cost -= cost.min(axis=1, keepdims=True)
        gap = float(np.partition(cost, 1, axis=1)[:, 1].mean())  # between a point's two nearest clusters
        for blur in np.geomspace(max(float(cost.mean()) / 4, gap, 1e-12), max(gap / 16, 1e-13), STEPS):
            wish = -(cost + prices) / np.float32(blur)
            wish -= wish.max(axis=1, keepdims=True)
            share = np.exp(wish, out=wish)
            load = (1 / share.sum(axis=1)) @ share * (len(centroids) / len(points))  # 1: as many as its share
            prices += np.float32(blur) * np.log(np.maximum(load, 1e-3))
        cluster = (cost + prices).argmin(axis=1)
        members = np.bincount(cluster, minlength=len(centroids))
        sums = np.zeros_like(centroids)
        np.add.at(sums, cluster, points)
        centroids = np.where(members[:, None] > 0, sums / np.maximum(members, 1)[:, None], centroids)
    return centroids.astype(np.float32), (prices - prices.min()).astype(np.float32)

"""Tuned on validation queries, an index keeps its recall on others: within half a point, over 100,000 vectors."""

from __future__ import annotations

import time

import numpy as np
import pytest

from baselines import index_tuning, indexes
from baselines.faiss_index import FaissIndex

SIZE, DIM, QUERIES, K = 100_000, 64, 4000, 10


def cloud(count: int, seed: int) -> np.ndarray:
    """Unit vectors, wide in a few directions and narrow in most, as embeddings are."""
    rows = np.random.default_rng(seed).normal(size=(count, DIM)) / np.sqrt(np.arange(1, DIM + 1))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("factory", ["HNSW32,Flat", "IVF1024,Flat"])
def test_the_recall_that_was_asked_for(factory: str, capsys: pytest.CaptureFixture[str]) -> None:
    vectors, probes, unseen = cloud(SIZE, 0), cloud(QUERIES, 1), cloud(QUERIES, 2)
    whole = indexes.ExactIndex()
    whole.build(vectors)
    seen, others = whole.search(probes, K).ids, whole.search(unseen, K).ids
    begun = time.perf_counter()
    index = indexes.make(factory, {})
    index.build(vectors)
    built = time.perf_counter() - begun
    assert isinstance(index, FaissIndex)
    for recall in (0.95, 0.99):
        wanted = index_tuning.aim(factory, {}, {"recall": recall})
        assert wanted is not None
        begun = time.perf_counter()
        told = index_tuning.tune(index, probes, seen, wanted)
        took = time.perf_counter() - begun
        begun = time.perf_counter()
        found = index_tuning.overlap(index.search(unseen, K).ids, others)
        rate = QUERIES / (time.perf_counter() - begun)
        with capsys.disabled():
            chosen = f"{told['setting']} {told['value']}: {told['recall']:.4f} where tuned, {found:.4f} on others"
            cost = f"{rate:,.0f} searches/s, built {built:.0f} s, tuned {took:.0f} s"
            print(f"\n{factory} for {recall}: {chosen}; {cost}")  # noqa: T201
        assert abs(found - recall) <= 0.005

"""`tune: {recall: …}`: the least setting that reaches it, also on queries that it was not tuned with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kit import Kit

from baselines import index_tuning, indexes
from baselines.dual_tower import DualTower
from baselines.index_tuning import Aim, overlap
from baselines.settings import DualTowerSettings
from harness.contract.dataset import Pairs

DIM, K = 16, 10


def cloud(count: int, seed: int, centres: int = 60) -> np.ndarray:
    """Unit vectors around the same few centres: what embeddings look like, and what cells are made for."""
    rng = np.random.default_rng(seed)
    middle = np.random.default_rng(99).normal(size=(centres, DIM))
    rows = (middle[rng.integers(centres, size=count)] + 0.7 * rng.normal(size=(count, DIM))).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def tuned(
    factory: str, vectors: np.ndarray, probes: np.ndarray, recall: float, search: dict[str, int] | None = None
) -> tuple[Any, dict[str, Any]]:
    index = indexes.make(factory, search or {})
    index.build(vectors)
    wanted = index_tuning.aim(factory, search or {}, {"recall": recall})
    assert wanted is not None
    return index, index_tuning.tune(index, probes, exact(vectors, probes), vectors, wanted)


def exact(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    return np.argsort(-(queries @ vectors.T), axis=1)[:, :K]


@pytest.mark.parametrize(
    ("factory", "search", "recall"),
    [
        *[(factory, {}, recall) for factory in ("HNSW8,Flat", "IVF128,Flat") for recall in (0.9, 0.97, 0.99)],
        ("IVF64_HNSW8,SQ8", {"quantizer_efSearch": 64}, 0.95),
        ("PCA12,IVF64,Flat,RFlat", {"k_factor_rf": 16}, 0.95),
    ],
)
def test_the_least_setting_that_reaches_it(factory: str, search: dict, recall: float) -> None:
    vectors, probes, unseen = cloud(6000, 0), cloud(1000, 1), cloud(1000, 2)
    index, told = tuned(factory, vectors, probes, recall, search)
    assert told["recall"] >= recall
    found = overlap(index.search(unseen, K).ids, exact(vectors, unseen))
    assert found >= recall - 0.01
    if told["value"] > 1:
        index.change(told["setting"], told["value"] - 1)
        assert overlap(index.search(probes, K).ids, exact(vectors, probes)) < recall


def test_recall_is_counted_query_by_query() -> None:
    found = np.array([[0, 1, 2], [5, 4, -1], [-1, -1, -1]])
    assert overlap(found, np.array([[2, 1, 0], [0, 1, 2], [0, 1, 2]])) == pytest.approx(3 / 9)
    assert overlap(found, np.array([[9, 8], [4, 0], [0, 1]])) == pytest.approx(1 / 6)
    assert overlap(np.empty((0, 3), int), np.empty((0, 3), int)) == 1.0


def test_candidates_that_are_as_near_are_as_good() -> None:
    """Captions that read the same have the same vector: whichever of them is found, the index has lost nothing."""
    vectors = np.repeat(cloud(300, 0), 20, axis=0)
    _, told = tuned("HNSW16,Flat", vectors, cloud(200, 1), 0.99)
    assert told["recall"] >= 0.99


def test_what_is_rounded_may_never_reach_it() -> None:
    with pytest.raises(
        ValueError, match=r"'IVF16,PQ4x4' can't reach recall 0.99 at 10: with nprobe 16, its most, it is"
    ):
        tuned("IVF16,PQ4x4", cloud(3000, 0), cloud(100, 1), 0.99)


@pytest.mark.parametrize(
    ("factory", "search", "tune", "words"),
    [
        ("exact", {}, {"recall": 0.9}, "'exact' has no setting to tune"),
        ("PQ8x4", {}, {"recall": 0.9}, "'PQ8x4' has no setting to tune"),
        ("HNSW8,Flat", {}, {"k": 5}, "expected {recall: 0.99}"),
        ("HNSW8,Flat", {}, {"recall": 0.9, "speed": 3}, "expected {recall: 0.99}"),
        ("HNSW8,Flat", {}, {"recall": 1.5}, "at most 1"),
        ("HNSW8,Flat", {}, {"recall": 0.9, "k": 2.5}, "whole k"),
        ("IVF8,Flat", {"nprobe": 3}, {"recall": 0.9}, "both settle nprobe"),
    ],
)
def test_mistakes_are_told(tiny, factory: str, search: dict, tune: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DualTower(DualTowerSettings(index=factory, search=search, tune=tune), encoder=tiny("audio").encoder, seed=0)


def test_settings_that_may_stand_beside_it() -> None:
    assert index_tuning.aim("IVF8,HNSW4", {"quantizer_efSearch": 9}, {"recall": 0.9}) == Aim(0.9, 10, "nprobe")
    assert index_tuning.aim("HNSW8,Flat", {}, {"recall": 0.9, "k": 1}) == Aim(0.9, 1, "efSearch")
    assert index_tuning.aim("HNSW8,Flat", {"efSearch": 9}, {}) is None


def test_a_dual_tower_tells_what_it_chose_and_keeps_it(tiny, tmp_path) -> None:
    kit: Kit = tiny("image")
    pairs = kit.test("text-image")

    def made() -> DualTower:
        return DualTower(
            DualTowerSettings(index="IVF4,Flat", tune={"recall": 1.0, "k": 3}), encoder=kit.encoder, seed=0
        )

    first = made()
    first.fit(*kit.training("text-image"))
    first.index(pairs.candidates)
    told = first.details()["tuned"]
    validation = kit.training("text-image")[1]
    assert told["setting"] == "nprobe"
    assert told["recall"] == 1.0
    assert told["queries"] == len(validation.queries)
    first.save(tmp_path)
    second = made()
    second.load(tmp_path)
    assert second.details() == first.details()
    assert np.array_equal(first.search(pairs.queries, 5).ids, second.search(pairs.queries, 5).ids)
    whole = DualTower(DualTowerSettings(), encoder=kit.encoder, seed=0)
    whole.index(pairs.candidates)
    ours, theirs = (each.search(validation.queries, 3).ids for each in (second, whole))
    assert overlap(ours, theirs) == 1.0


def test_without_validation_train_is_asked_and_without_either_nothing_can_be_tuned(tiny) -> None:
    kit: Kit = tiny("audio")
    train, nothing = kit.training("text-audio")[0], Pairs.empty("text", "audio")
    retriever = DualTower(DualTowerSettings(index="HNSW8,Flat", tune={"recall": 0.9}), encoder=kit.encoder, seed=0)
    retriever.fit(train, nothing)
    retriever.index(kit.test("text-audio").candidates)
    assert retriever.details()["tuned"]["queries"] == len(train.queries)
    retriever = DualTower(DualTowerSettings(index="HNSW8,Flat", tune={"recall": 0.9}), encoder=kit.encoder, seed=0)
    retriever.fit(nothing, nothing)
    with pytest.raises(ValueError, match="neither validation nor train has queries"):
        retriever.index(kit.test("text-audio").candidates)

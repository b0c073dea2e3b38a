"""The indexes behind the dual tower: exact is exact, FAISS strings work, mistakes are told in words that help."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from baselines import faiss_index, indexes
from baselines.index_tuning import overlap
from harness.contract.retriever import Unsupported
from harness.machine import compute
from harness.score.metrics import check_ranking

SIZE, DIM, K = 400, 16, 10


def unit(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def built(factory: str, vectors: np.ndarray, **settings: int) -> indexes.Index:
    index = indexes.make(factory, settings)
    index.build(vectors)
    return index


@pytest.mark.parametrize("factory", ["exact", "Flat"])
def test_exact_search_is_brute_force(factory, monkeypatch):
    monkeypatch.setattr(indexes, "BLOCK", 7 * SIZE)  # several blocks of queries
    vectors, queries = unit(SIZE, 0), unit(50, 1)
    found = built(factory, vectors).search(queries, K)
    scores = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    assert np.array_equal(found.ids, np.argsort(-scores, axis=1)[:, :K])
    assert np.allclose(found.scores, -np.sort(-scores, axis=1)[:, :K], rtol=1e-5)


@pytest.mark.parametrize("size", [1, 9, 100, 399, 400])
@pytest.mark.parametrize("k", [1, K])
def test_exact_search_of_many_candidates_loses_none(size: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates in parts, and of each part the best chunks first: with ties, and where neither comes out even."""
    monkeypatch.setattr(indexes, "COLUMNS", 150)
    monkeypatch.setattr(indexes, "CHUNK", 3)
    vectors, queries = unit(SIZE, 0)[:size], unit(50, 1)
    found = built("exact", vectors).search(queries, k)
    check_ranking(found.ids, found.scores, size, (50, k))
    scores = queries @ vectors.T
    wide = min(k, size)
    assert np.array_equal(found.ids[:, :wide], np.argsort(-scores, axis=1)[:, :wide])
    tied = np.repeat(vectors[:1], size, axis=0)
    same = built("exact", tied).search(queries, k)
    check_ranking(same.ids, same.scores, size, (50, k))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 20])
def test_single_pairs_are_scored_as_in_a_search(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "PAIRS", 7)
    index, queries = indexes.ExactIndex(), unit(5, 1)
    index.build(unit(SIZE, 0))
    pairs = np.random.default_rng(0).integers([5, SIZE], size=(count, 2))
    scores = (queries @ index.vectors.T)[pairs[:, 0], pairs[:, 1]]
    np.testing.assert_allclose(index.pairs(queries, pairs), scores, rtol=1e-5, atol=1e-6)
    assert index.counts() == {"products": count}


@pytest.mark.parametrize(("count", "cells"), [(1, 1), (38, 1), (1000, 16), (100_000, 1024), (1_000_000, 2048)])
def test_a_star_stands_for_as_many_cells_as_suit_the_gallery(count: int, cells: int) -> None:
    assert faiss_index.for_gallery("OPQ8,IVF*,PQ8", count) == f"OPQ8,IVF{cells},PQ8"
    assert faiss_index.for_gallery("IVF64,Flat", count) == "IVF64,Flat"


@pytest.mark.parametrize(("count", "bits"), [(1, 3), (8, 3), (255, 7), (256, 8), (1_000_000, 8)])
def test_another_star_stands_for_as_many_bits_as_there_are_vectors_for(count: int, bits: int) -> None:
    assert faiss_index.for_gallery("IVF8,PQ8x*", count) == f"IVF8,PQ8x{bits}"
    if 1 < count < 300:
        vectors = unit(count, 0)
        assert len(np.unique(built("PQ8x*", vectors).search(vectors, 1).ids)) > count / 2


def test_an_index_with_a_star_is_built_tuned_and_kept(tmp_path) -> None:
    vectors = unit(SIZE, 0)
    index = built("IVF*,Flat", vectors)
    assert isinstance(index, faiss_index.FaissIndex) and index.cells() == 8
    index.save(tmp_path)
    loaded = indexes.make("IVF*,Flat", {"nprobe": 8})
    loaded.load(tmp_path)
    assert np.array_equal(loaded.search(vectors[:50], 1).ids[:, 0], np.arange(50))


def test_scores_are_whole_floats_while_something_is_trained_in_half_precision():
    """A tuned dual tower is asked as a teacher meanwhile."""
    usual = compute.current().choices
    compute.configure("cpu", 1, compute.Choices(packed_rows=10))  # fewer are multiplied by torch, which then rounds
    try:
        index, queries = built("exact", unit(SIZE, 0)), unit(2, 1)
        with torch.autocast("cpu", torch.bfloat16):
            found = index.search(queries, K)
        assert found.scores.dtype == np.float32
        assert np.allclose(found.scores, index.search(queries, K).scores, atol=0.02)
    finally:
        compute.configure("cpu", 1, usual)


@pytest.mark.parametrize(
    "factory",
    [
        *("HNSW16,Flat", "IVF8,Flat", "PQ8x4", "OPQ4,PQ4x4", "PCA8,Flat", "IVF4,PQ4x4,RFlat"),
        # those that know L2 distances or bits, and no inner product
        *("LSH", "LSHrt", "ITQ8,LSH", "LSH,RFlat", "IMI2x2,Flat", "HNSW8,PQ8x4", "OPQ4,HNSW8,PQ8x4"),
    ],
)
def test_any_factory_string_finds_most_of_what_is_asked_for_by_name(factory):
    vectors = unit(SIZE, 0)
    found = built(factory, vectors).search(vectors[:100], K)
    check_ranking(found.ids, found.scores, SIZE, (100, K))
    assert np.mean((found.ids == np.arange(100)[:, None]).any(axis=1)) > 0.8


@pytest.mark.parametrize("factory", ["Flat", "IMI2x2,Flat", "LSH,RFlat", "PCA16,Flat", "PCAR16,HNSW16,Flat"])
def test_scores_are_cosines_whatever_the_index_measures(factory, tmp_path):
    vectors, queries = unit(SIZE, 0), unit(50, 1)
    index = built(factory, vectors)
    index.save(tmp_path)
    loaded = indexes.make(factory, {})
    loaded.load(tmp_path)
    for each in (index, loaded):
        found = each.search(queries, 3)
        assert np.allclose(found.scores, np.einsum("qd,qkd->qk", queries, vectors[found.ids]), atol=1e-5)


@pytest.mark.parametrize(
    ("factory", "settings", "least"),
    [
        *[(factory, {}, 0.99) for factory in ("PCA16,Flat", "PCAR16,Flat", "OPQ4,PCA16,Flat")],
        ("PCA16,IVF8,Flat", {"nprobe": 8}, 0.99),
        ("PCA16,HNSW16,Flat", {"efSearch": SIZE}, 0.99),
        ("PCA8,Flat", {}, 0.7),
        ("PCA8,Flat,RFlat", {"k_factor_rf": 8}, 0.98),
        ("SQ8,Refine(PCA16,Flat)", {"k_factor_rf": 2}, 0.99),
    ],
)
def test_a_pca_finds_the_same_where_queries_lie_apart_from_candidates(factory, settings, least):
    """As vectors of texts do from those of media: what is subtracted is the mean of candidates alone."""
    about = 3 * unit(SIZE, 0) / np.arange(1, DIM + 1, dtype=np.float32)
    cones = about + unit(1, 1), about[:100] + unit(1, 2)
    vectors, queries = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in cones)
    index, exact = built(factory, vectors, **settings), built("exact", vectors).search(queries, K)
    found = index.search(queries, K)
    assert overlap(found.ids, exact.ids) >= least
    if "PCA8" not in factory:
        np.testing.assert_allclose(found.scores, exact.scores, atol=1e-5)


def test_warnings_of_faiss_become_one_line(capfd, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(faiss_index, "say", said.append)
    built("PQ4x6", unit(SIZE, 0))
    assert len(said) == 1
    assert "index 'PQ4x6': FAISS warns: clustering 400 points to 64 centroids" in said[0]
    assert said[0].endswith("(4 times)")
    assert capfd.readouterr().err == ""


def test_what_others_write_to_standard_error_meanwhile_is_not_lost(capfd):
    with pytest.raises(KeyError), faiss_index._gathered_warnings("Flat"):
        os.write(2, b"somebody's words\n")
        raise KeyError
    assert capfd.readouterr().err == "somebody's words\n"


@pytest.mark.parametrize("factory", ["exact", "Flat", "PQ4x4", "IVF8,Flat", "HNSW8,SQ8", "OPQ4,PQ4x4", "LSH", "SQ8"])
def test_bytes_that_grow_and_those_that_do_not(factory):
    rows = unit(SIZE, 0)
    index = built(factory, rows)
    growing, constant = index.sizes()
    index.add(unit(SIZE, 1))
    assert index.sizes()[1] == constant, "trained once"
    assert index.sizes()[0] == pytest.approx(2 * growing, rel=0.05)
    at_least = {"PQ4x4": 16 * DIM * 4, "IVF8,Flat": 8 * DIM * 4, "OPQ4,PQ4x4": DIM * DIM * 4}
    assert constant >= at_least.get(factory, 0)
    if factory in ("exact", "Flat"):
        assert growing == rows.nbytes and constant < 100


def test_who_takes_no_later_vectors_says_so():
    index = built("NSG8,Flat", unit(SIZE, 0))
    with pytest.raises(Unsupported, match="'NSG8,Flat' takes no later vectors"):
        index.add(unit(10, 1))


def test_search_settings_are_set():
    vectors, queries = unit(SIZE, 0), unit(100, 1)
    exact = built("exact", vectors).search(queries, 1).ids

    def recall(index: indexes.Index) -> float:
        return float(np.mean(index.search(queries, 1).ids == exact))

    assert recall(built("IVF16,Flat", vectors, nprobe=1)) < recall(built("IVF16,Flat", vectors, nprobe=16)) == 1.0


def test_search_settings_outlive_saving_and_loading(tmp_path):
    vectors, queries = unit(SIZE, 0), unit(100, 1)
    before = built("IVF16,Flat", vectors, nprobe=16)
    before.save(tmp_path)
    after = indexes.make("IVF16,Flat", {"nprobe": 16})
    after.load(tmp_path)
    assert np.array_equal(before.search(queries, K).ids, after.search(queries, K).ids)


def test_graphs_are_built_the_same_by_two_threads():
    compute.configure("cpu", 2)
    try:
        vectors, queries = unit(2000, 0), unit(200, 1)
        first, second = (built("HNSW8,Flat", vectors).search(queries, K).ids for _ in range(2))
    finally:
        compute.configure("cpu", 1)
    assert np.array_equal(first, second)


def test_vectors_may_be_mapped_from_a_file_and_need_not_be_float32(tmp_path, recwarn):
    np.save(tmp_path / "vectors.npy", unit(SIZE, 0).astype(np.float64))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    for factory in ("exact", "Flat"):
        assert (built(factory, mapped).search(mapped[:20], 1).ids[:, 0] == np.arange(20)).all()
    assert not recwarn.list


@pytest.mark.parametrize(
    ("factory", "settings", "words"),
    [
        ("hnsw", {}, ["'hnsw'", "did you mean 'HNSW32,Flat'?"]),
        ("ivf64,flat", {}, ["did you mean 'IVF64,Flat'?"]),
        ("HNSW8,Flat", {"efsearch": 4}, ["efsearch: 4", "did you mean 'efSearch'?"]),
        ("nonsense", {}, ["'nonsense'", "no such factory string", "HNSW32,Flat"]),
        ("", {}, ["no such factory string"]),
        ("PQ5", {}, ["'PQ5'", "multiple of the number of subquantizers"]),
        ("IVF500,Flat", {}, ["'IVF500,Flat'", "400 vectors", "larger gallery"]),
        ("IDMap,Flat", {}, ["'IDMap,Flat'", "can't be built"]),
        ("HNSW0,Flat", {}, ["HNSW0", "larger number"]),  # FAISS would end the whole process over it
        ("HNSW1,Flat", {}, ["HNSW1", "larger number"]),
        ("IVF0,Flat", {}, ["IVF0", "larger number"]),
        ("exact", {"nprobe": 4}, ["exact", "no setting", "nprobe"]),
        ("Flat", {"nprobe": 4}, ["nprobe: 4", "'Flat'", "no such setting"]),
        ("HNSW8,Flat", {"nprobe": 4}, ["nprobe: 4", "efSearch"]),
        ("IVF4,Flat", {"nprob": 4}, ["nprob: 4", "nprobe"]),
        ("IVF4,Flat", {"nprobe": 0}, ["nprobe: 0", "from 1 up"]),
        ("HNSW8,Flat", {"efSearch": -3}, ["efSearch: -3", "from 1 up"]),
    ],
)
def test_mistakes_are_told_in_words_that_help(factory, settings, words):
    with pytest.raises(ValueError) as caught:
        built(factory, unit(SIZE, 0), **settings)
    for word in words:
        assert word in str(caught.value)
    assert ".cpp" not in str(caught.value), "no source files of FAISS"

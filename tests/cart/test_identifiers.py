"""Every scheme names every candidate once, whatever the embeddings; codes mean something where they should."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cart.identifiers import SCHEMES, Identifiers, Scheme, coarse, fine, load, make, save
from cart.identifiers.unique import separate
from harness.contract.retriever import Unsupported

QUICK = {"books": 2, "codes": 8, "latent": 8, "hidden": 16, "steps": 40, "batch": 128}
SMALL: dict[str, dict[str, Any]] = {
    "cart": {"clusters": 8, "fine": QUICK, "pca": 12},
    "residual": {"fine": {**QUICK, "books": 3}, "pca": 12},
    "structured": {"clusters": 6, "depth": 2, "pca": 12},
    "atomic": {},
    "numeric": {},
    "random": {"clusters": 8, "codes_each": 8},
}
LEARNT = ("cart", "residual", "structured")


def small(kind: str, **more: Any) -> Scheme:
    return make(kind, {**SMALL[kind], **more})


def blobs(count: int, dim: int = 16, seed: int = 0, kinds: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(kinds, dim))
    points = centres[rng.choice(kinds, count, p=rng.dirichlet(np.ones(kinds)))] + 0.4 * rng.normal(size=(count, dim))
    return points.astype(np.float32)


def assert_sound(identifiers: Identifiers, count: int) -> None:
    tokens, sizes = identifiers.tokens, identifiers.sizes
    assert tokens.dtype == np.int32 and tokens.shape == (count, len(sizes))
    assert (tokens >= 0).all() and (tokens < np.array(sizes)).all()
    assert len({tuple(row) for row in tokens.tolist()}) == count


@pytest.mark.parametrize("kind", SCHEMES)
@pytest.mark.parametrize(
    "embeddings",
    [
        pytest.param(blobs(150), id="usual"),
        pytest.param(blobs(3), id="fewer candidates than clusters"),
        pytest.param(blobs(1), id="one candidate"),
        pytest.param(np.ones((40, 16), np.float32), id="all equal"),
        pytest.param(np.zeros((40, 16), np.float32), id="all zero"),
        pytest.param(np.repeat(blobs(20), 4, axis=0), id="duplicates"),
        pytest.param(blobs(60, dim=2), id="fewer dimensions than pca asks for"),
    ],
)
def test_every_candidate_has_an_identifier_of_its_own(kind: str, embeddings: np.ndarray) -> None:
    scheme = small(kind)
    identifiers = scheme.fit(embeddings)
    assert_sound(identifiers, len(embeddings))
    again = small(kind).fit(embeddings)
    np.testing.assert_array_equal(again.tokens, identifiers.tokens)
    groups = np.unique(identifiers.tokens[:, : len(scheme.sizes)], axis=0, return_counts=True)[1]
    found = identifiers.statistics
    assert found["candidates"] == len(embeddings) and found["distinct"] == len(groups)
    assert found["colliding"] == groups[groups > 1].sum() and found["largest"] == groups.max()
    assert identifiers.sizes[len(scheme.sizes) :] == ((groups.max(),) if scheme.counted else ())


@pytest.mark.parametrize("kind", LEARNT)
def test_equal_embeddings_share_codes_and_differ_in_the_counter(kind: str) -> None:
    identifiers = small(kind).fit(np.ones((40, 16), np.float32))
    assert len(np.unique(identifiers.tokens[:, :-1], axis=0)) == 1
    assert identifiers.tokens[:, -1].tolist() == list(range(40)) and identifiers.sizes[-1] == 40
    assert identifiers.statistics["reconstruction_error"] == 0.0


@pytest.mark.parametrize("kind", LEARNT)
def test_codebooks_give_known_candidates_the_codes_they_have(kind: str) -> None:
    embeddings = blobs(200)
    scheme = small(kind)
    identifiers = scheme.fit(embeddings)
    np.testing.assert_array_equal(scheme.assign(embeddings), identifiers.tokens[:, :-1])


@pytest.mark.parametrize("kind", [kind for kind in SCHEMES if kind != "atomic"])
def test_new_candidates_are_named_and_old_names_stay(kind: str) -> None:
    embeddings = blobs(160)
    embeddings[150:] = embeddings[:10]  # some of the new are copies of old ones: they collide
    scheme = small(kind)
    before = scheme.fit(embeddings[:120])
    after = scheme.extend(before, embeddings[120:])
    assert_sound(after, 160)
    np.testing.assert_array_equal(after.tokens[:120], before.tokens)
    assert len(after.sizes) == len(before.sizes) and scheme.extend(before, embeddings[:0]) is before
    if kind in LEARNT:
        np.testing.assert_array_equal(after.tokens[150:, :-1], before.tokens[:10, :-1])


def test_who_cannot_name_new_candidates_says_so() -> None:
    atomic, numeric = small("atomic"), small("numeric")
    with pytest.raises(Unsupported, match="index the whole gallery"):
        atomic.extend(atomic.fit(blobs(5)), blobs(1))
    with pytest.raises(Unsupported, match="3 digits are used up"):
        numeric.extend(numeric.fit(blobs(999)), blobs(2))


@pytest.mark.parametrize("kind", SCHEMES)
def test_a_scheme_comes_back_from_its_folder(kind: str, tmp_path: Path) -> None:
    embeddings = blobs(90)
    scheme = small(kind)
    identifiers = scheme.fit(embeddings)
    save(tmp_path, scheme, identifiers)
    back, found = load(tmp_path)
    np.testing.assert_array_equal(found.tokens, identifiers.tokens)
    assert found.sizes == identifiers.sizes and found.statistics == identifiers.statistics
    assert type(back) is type(scheme)
    if kind != "atomic":
        np.testing.assert_array_equal(back.assign(blobs(10, seed=5), 90), scheme.assign(blobs(10, seed=5), 90))


@pytest.mark.parametrize("kind", SCHEMES)
def test_broken_embeddings_are_told_by_row(kind: str) -> None:
    embeddings = blobs(20)
    embeddings[[7, 11], 3] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"NaN or infinity in 2 of \d+ vectors, the first at position 7"):
        small(kind).fit(embeddings)
    with pytest.raises(ValueError, match="at least one candidate"):
        small(kind).fit(embeddings[:0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=40))
def test_the_counter_counts_within_equal_codes_in_the_order_of_rows(codes: list[tuple[int, int]]) -> None:
    tokens, sizes = separate(np.array(codes, np.int32), (4, 3))
    expected = [codes[:row].count(code) for row, code in enumerate(codes)]
    assert tokens[:, -1].tolist() == expected and sizes == (4, 3, max(expected) + 1)


def test_statistics_of_a_level() -> None:
    embeddings = np.repeat(np.eye(4, dtype=np.float32), [4, 4, 4, 4], axis=0)
    found = small("structured", clusters=8, depth=1, pca=None).fit(embeddings).statistics
    (level,) = found["levels"]
    assert level["used"] == level["prefixes"] == 4 and level["perplexity"] == pytest.approx(4)
    assert level["balance"] == pytest.approx(0.5)  # 4 of 8 codes, evenly
    assert found["reconstruction_error"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("kind", "bound"), [("cart", 0.25), ("residual", 0.35), ("structured", 0.25)])
def test_codes_keep_most_of_what_an_embedding_says(kind: str, bound: float) -> None:
    embeddings = blobs(500)
    scheme = small(kind)
    identifiers = scheme.fit(embeddings)
    assert identifiers.statistics["reconstruction_error"] < bound
    errors = [
        np.square(embeddings - scheme.decode(identifiers.tokens[:, :length])).sum()  # type: ignore[operator]
        for length in range(1, len(scheme.sizes) + 1)
    ]
    assert all(later < earlier for earlier, later in pairwise(errors))


@pytest.mark.parametrize("kind", ["cart", "residual"])
def test_without_an_mlp_a_vector_is_a_sum_of_codewords(kind: str) -> None:
    embeddings = blobs(200)
    scheme = small(kind, fine={**SMALL[kind]["fine"], "network": "linear"})
    codes = scheme.fit(embeddings).tokens[:, :-1]
    words, decoded = scheme.codewords(), scheme.decode(codes)
    assert words is not None and decoded is not None and len(words) == 3
    total = sum(word[column] for word, column in zip(words, codes.T, strict=True))
    np.testing.assert_allclose(decoded - total, np.broadcast_to((decoded - total)[0], total.shape), atol=1e-5)
    behind_mlp = small(kind)
    behind_mlp.fit(embeddings)
    assert behind_mlp.codewords() is None


def test_balanced_clusters_are_more_even_and_assign_alike() -> None:
    points = blobs(1000, kinds=20)
    plain, even = (coarse.fit(points, 16, balanced, 0) for balanced in (False, True))
    largest = [int(np.bincount(clusters.assign(points), minlength=16).max()) for clusters in (plain, even)]
    assert largest[1] < 1.5 * 1000 / 16 < largest[0]
    assert not plain.prices.any() and even.prices.any()


def test_training_lowers_what_the_quantiser_loses() -> None:
    rng = np.random.default_rng(0)
    points = np.tanh(2 * rng.normal(size=(600, 4)) @ rng.normal(size=(4, 24))).astype(np.float32)
    lost = []
    for steps in (0, 200):
        settings = fine.Settings(books=2, codes=16, latent=8, hidden=64, steps=steps, batch=256, lr=3e-3)
        quantiser = fine.fit(points, settings, 0)
        lost.append(float(np.square(points - quantiser.decode(quantiser.encode(points))).mean()))
    assert lost[1] < 0.9 * lost[0]


def test_dead_codes_are_revived(monkeypatch: pytest.MonkeyPatch) -> None:
    def collapsed(quantiser: fine.Quantiser, latents: torch.Tensor, seed: int) -> None:
        quantiser.books.copy_(torch.full_like(quantiser.books, 100.0))  # all codes in one place, far from all points
        quantiser.books[:, 0] = 0

    monkeypatch.setattr(fine, "_start_by_kmeans", collapsed)
    points = blobs(400)
    used = []
    for revive in (10, 10_000):
        settings = fine.Settings(books=2, codes=16, latent=8, hidden=16, steps=100, batch=256, revive=revive)
        codes = fine.fit(points, settings, 0).encode(points)
        used.append([len(np.unique(column)) for column in codes.T])
    assert min(used[0]) >= 14 and max(used[1]) == 1


def test_a_codebook_that_stays_collapsed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(fine, "say", said.append)
    fine.fit(np.repeat(blobs(2), 50, axis=0), fine.Settings(**QUICK), 0)
    assert any("fine codebook 0: only" in line for line in said)
    said.clear()
    fine.fit(blobs(300), fine.Settings(**QUICK), 0)
    assert not said


def test_fitting_leaves_the_random_state_of_others_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    small("cart").fit(blobs(50))
    assert torch.equal(torch.rand(3), expected)

"""CART as a contestant: its steps fit together, faults end in words, and later candidates are found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kit import Kit

from baselines.dual_tuned import DualTuned, _turn
from baselines.settings import DualTunedSettings
from cart.batches import Batch, Draw
from cart.model import CART
from cart.retriever import CartRetriever
from cart.settings import CartSettings
from cart.training import Plan
from cart.training import train as learn
from cart.trie import Trie
from harness.contract.dataset import Contents, texts
from harness.contract.retriever import Unsupported

TINY: dict[str, Any] = {"steps": 12, "batch": 32, "clusters": 4, "codes": 4, "width": 48, "layers": 1, "beams": 8}


@pytest.fixture(scope="module")
def kit(tiny: Callable[[str], Kit]) -> Kit:
    return tiny("audio")


@pytest.fixture(scope="module")
def indexed(kit: Kit) -> CartRetriever:
    retriever = CartRetriever(CartSettings(**TINY), encoder=kit.encoder, captioner=kit.captioner, seed=0)
    retriever.index(kit.test("text-audio").candidates)
    return retriever


def test_counts_and_footprint(indexed: CartRetriever, kit: Kit) -> None:
    indexed.reset_counts()
    indexed.search(kit.test("text-audio").queries[:10], 5)
    counts = indexed.counts()
    assert counts["trie_nodes"] > 0
    assert 10 <= counts["decoder_positions"] <= 10 * (1 + 8 * 3)  # the first level has one beam
    assert indexed.footprint().index_bytes == indexed.tree.nbytes + 4 * 49 * indexed.named.sizes[-1]


@pytest.mark.parametrize("loss", ["legal", "full"])
def test_counts_are_those_of_the_queries_whatever_goes_together(kit: Kit, loss: Any) -> None:
    """Beams of different queries end at different levels: a batch pads the shorter ones, and padding is no work."""
    settings = CartSettings(**{**TINY, "steps": 2, "clusters": 8, "beams": 3}, loss=loss)
    retriever = CartRetriever(settings, encoder=kit.encoder, captioner=kit.captioner, seed=0)
    retriever.index(kit.test("text-audio").candidates)
    queries, found = kit.test("text-audio").queries[:20], []
    for size in (20, 7, 1):
        retriever.reset_counts()
        for start in range(0, 20, size):
            retriever.search(queries[start : start + size], 3)
        found.append(retriever.counts())
    assert found[0] == found[1] == found[2]
    if loss == "full":
        assert found[0]["decoder_positions"] == 20 * (1 + 3 * (retriever.tree.levels - 1)), "no beam is skipped"


def test_says_how_its_identifiers_came_out_and_what_it_has_learnt(
    indexed: CartRetriever, kit: Kit, tmp_path: Path
) -> None:
    details = indexed.details()
    assert details["identifiers"]["candidates"] == len(kit.test("text-audio").candidates)
    assert {"reconstruction_error", "levels"} <= details["identifiers"].keys()
    assert 1 / 4 <= details["first_token_accuracy"] <= 1  # there are four first tokens, and it has had its lesson
    indexed.save(tmp_path)
    again = CartRetriever(CartSettings(**TINY), encoder=kit.encoder, captioner=kit.captioner, seed=0)
    again.load(tmp_path)
    assert json.loads(json.dumps(again.details())) == json.loads(json.dumps(details))
    (tmp_path / "learnt.json").unlink()  # as those saved before it was asked for
    again.load(tmp_path)
    assert again.details().keys() == {"identifiers"}


def test_starts_from_a_tuned_dual_tower(kit: Kit, tmp_path: Path) -> None:
    pairs = kit.test("text-audio")
    start = DualTuned(
        DualTunedSettings(steps=3, batch=16, lr=1e-3), encoder=kit.encoder, captioner=kit.captioner, seed=0
    )
    start.index(pairs.candidates)
    retriever = CartRetriever(
        CartSettings(loss="legal", start="tuned", **TINY),
        encoder=kit.encoder,
        captioner=kit.captioner,
        start=start,
        seed=0,
    )
    retriever.index(pairs.candidates)
    retriever.save(tmp_path)
    again = CartRetriever(
        CartSettings(loss="legal", start="tuned", **TINY),
        encoder=kit.encoder,
        captioner=kit.captioner,
        start=start,
        seed=0,
    )
    again.load(tmp_path)
    assert np.array_equal(again.search(pairs.queries[:20], 5).ids, retriever.search(pairs.queries[:20], 5).ids)


def test_later_candidates_are_placed_where_learning_would_have_moved_them(kit: Kit) -> None:
    gallery = kit.test("text-audio").candidates
    start = DualTuned(
        DualTunedSettings(steps=1, batch=16, lr=1e-3), encoder=kit.encoder, captioner=kit.captioner, seed=0
    )
    start.index(gallery)
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=start.vectors.shape[1:] * 2))[0]
    start.turn = _turn(kit.encoder.embed(gallery), (kit.encoder.embed(gallery) @ turned).astype(np.float32))
    expected = kit.encoder.embed(gallery) @ turned
    assert ((start.place(gallery) * expected).sum(1) > 0.9).all()


@pytest.mark.parametrize(
    ("geometry", "loss"),
    [("codebook", "legal"), ("centroid", "full"), ("centroid", "legal"), ("learned", "full"), ("lse", "full")],
)
def test_every_geometry_searches_and_survives_saving(kit: Kit, tmp_path: Path, geometry: Any, loss: Any) -> None:
    pairs = kit.test("text-audio")
    retriever = CartRetriever(
        CartSettings(loss=loss, geometry=geometry, **TINY), encoder=kit.encoder, captioner=kit.captioner, seed=0
    )
    retriever.index(pairs.candidates)
    retriever.save(tmp_path)
    again = CartRetriever(
        CartSettings(loss=loss, geometry=geometry, **TINY), encoder=kit.encoder, captioner=kit.captioner, seed=0
    )
    again.load(tmp_path)
    assert np.array_equal(again.search(pairs.queries[:20], 5).ids, retriever.search(pairs.queries[:20], 5).ids)
    plain = retriever.tree.nbytes + 4 * 49 * retriever.named.sizes[-1]
    assert (retriever.footprint().index_bytes > plain) == (geometry != "codebook")
    assert (retriever.footprint().constant_bytes > 0) == (geometry == "codebook")


@pytest.mark.parametrize(
    ("kind", "known"),
    [("cart", {"pca", "balanced"}), ("residual", {"pca"}), ("structured", {"pca"}), ("atomic", set())],
)
def test_what_the_quantiser_does_beside_the_papers_way_is_up_to_the_suite(kit: Kit, kind: Any, known: set[str]) -> None:
    asked = {"pca": 5, "balanced": True}
    for given in ({}, asked):
        settings = CartSettings(identifiers=kind, **{**TINY, "steps": 1}, **given)
        retriever = CartRetriever(settings, encoder=kit.encoder, captioner=kit.captioner, seed=0)
        retriever.index(kit.test("text-audio").candidates)
        for name in known:
            assert getattr(retriever.scheme, name) == (given or {"pca": None, "balanced": False})[name]


def test_passes_differ_in_the_text_side_where_it_drops_out(kit: Kit) -> None:
    for rate in (0.0, 0.3):
        settings = CartSettings(**{**TINY, "steps": 1}, text_dropout=rate)
        retriever = CartRetriever(settings, encoder=kit.encoder, captioner=kit.captioner, seed=0)
        retriever.index(kit.test("text-audio").candidates)
        model = retriever.model.train()
        encoded = model.encoder(model.encoder.tokens(["a bell rings"]))  # type: ignore[operator, union-attr]
        one, other = (model.prepare(encoded).kept[0][0][0] for _ in range(2))
        assert torch.equal(one, other) == (rate == 0), "the decoder's keys for the query, before any of its dropout"
        assert model.same_encoding == (rate == 0)


@pytest.mark.parametrize("kind", ["residual", "structured", "atomic", "numeric", "random"])
def test_every_rival_scheme_of_identifiers_searches(kit: Kit, kind: str) -> None:
    pairs = kit.test("text-audio")
    retriever = CartRetriever(
        CartSettings(identifiers=kind, **{**TINY, "steps": 2}), encoder=kit.encoder, captioner=kit.captioner, seed=0
    )
    retriever.index(pairs.candidates)
    found = retriever.search(pairs.queries[:3], len(pairs.candidates)).ids
    assert all(sorted(row) == list(range(len(pairs.candidates))) for row in found.tolist())


def test_what_is_added_can_be_found(kit: Kit) -> None:
    gallery = kit.test("text-audio").candidates
    retriever = CartRetriever(CartSettings(**TINY), encoder=kit.encoder, captioner=kit.captioner, seed=0)
    retriever.index(gallery[:30])
    old = retriever.named.tokens.copy()
    retriever.add(gallery[30:])
    assert np.array_equal(retriever.named.tokens[:30], old)
    found = retriever.search(kit.test("text-audio").queries[:50], len(gallery)).ids
    assert set(found[0].tolist()) == set(range(len(gallery)))


@pytest.mark.parametrize("text", ["vector", "tower"])
def test_what_is_added_can_be_learnt_too(kit: Kit, monkeypatch: pytest.MonkeyPatch, text: Any) -> None:
    """A few more steps, on texts that the tuned dual tower, which has placed them, gives to old and added ones."""
    pairs = kit.test("text-audio")
    gallery, train = pairs.candidates, kit.training("text-audio")
    start = DualTuned(DualTunedSettings(steps=3, batch=16), encoder=kit.encoder, captioner=kit.captioner, seed=0)
    start.index(gallery[:30])
    lessons: list[tuple[int, Batch]] = []

    def remember(model: CART, trie: Trie, draw: Draw, plan: Plan, *rest: Any) -> float:
        lessons.append((plan.steps, draw(np.random.default_rng(0), 256)))
        return learn(model, trie, draw, plan, *rest)

    monkeypatch.setattr("cart.retriever.train", remember)
    settings = CartSettings(text=text, start="tuned", teacher="start", teacher_texts=60, add_steps=5, **TINY)
    retriever = CartRetriever(settings, kit.encoder, kit.captioner, 0, start=start)
    retriever.fit(*train)
    retriever.index(gallery[:30])
    taught = [weights.clone() for weights in retriever.model.parameters()]
    retriever.add(gallery[30:])
    assert [steps for steps, _ in lessons] == [TINY["steps"], 5]
    meant = [batch.odds[batch.ids >= 30].sum() / batch.odds.sum() for _, batch in lessons]
    assert meant[0] == 0 and 0 < meant[1] < 1, "the old ones alone; then old ones and added ones"
    kept = zip(taught, retriever.model.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in kept if old.shape == new.shape)
    found = retriever.search(pairs.queries[:50], len(gallery)).ids
    assert set(found[0].tolist()) == set(range(len(gallery)))


@pytest.fixture
def teaching(kit: Kit) -> Callable[[], CartRetriever]:
    """Makes retrievers that learn what is added, and start from one dual tower of 20 candidates."""
    start = DualTuned(DualTunedSettings(steps=3, batch=16), encoder=kit.encoder, captioner=kit.captioner, seed=0)
    start.index(kit.test("text-audio").candidates[:20])
    settings = CartSettings(start="tuned", teacher="start", teacher_texts=60, add_steps=5, **TINY)
    return lambda: CartRetriever(settings, kit.encoder, kit.captioner, 0, start=start)


def test_each_lesson_is_about_the_candidates_that_were_added(
    kit: Kit, teaching: Callable[[], CartRetriever], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, judges = kit.test("text-audio").candidates, list[Any]()

    def remember(self: CartRetriever, chosen: Sequence[str], judge: Any) -> Draw:
        judges.append(judge)
        return judged(self, chosen, judge)

    judged = CartRetriever._judged
    monkeypatch.setattr(CartRetriever, "_judged", remember)
    retriever = teaching()
    shared: Any = retriever.start
    retriever.fit(*kit.training("text-audio"))
    retriever.index(gallery[:20])
    retriever.add(gallery[20:30])
    retriever.add(gallery[30:])
    assert [len(judge.vectors) for judge in judges] == [20, 30, 40]
    assert np.array_equal(judges[-1].vectors[20:], shared.place(gallery[20:])), "each stands where CART has it"
    assert len(shared.vectors) == 20, "other retrievers start from it, too"


@pytest.mark.parametrize("lacking", ["texts", "candidates"])
def test_a_lesson_that_lacks_something_is_refused_before_anything_has_changed(
    kit: Kit, teaching: Callable[[], CartRetriever], tmp_path: Path, lacking: str
) -> None:
    pairs = kit.test("text-audio")
    retriever, loaded = teaching(), teaching()
    retriever.fit(*kit.training("text-audio"))
    retriever.index(pairs.candidates[:20])
    if lacking == "candidates":
        retriever.add(pairs.candidates[20:30])
    retriever.save(tmp_path)
    if lacking == "texts":  # as those saved before these were kept
        (tmp_path / "train_texts.json.gz").unlink()
    loaded.load(tmp_path)
    before = loaded.search(pairs.queries, 40)
    with pytest.raises(Unsupported, match=r"index the (whole )?gallery again"):
        loaded.add(pairs.candidates[30:])
    after = loaded.search(pairs.queries, 40)
    assert np.array_equal(before.ids, after.ids) and np.array_equal(before.scores, after.scores)


def test_loaded_it_goes_on_with_the_settings_that_it_chose(kit: Kit, tmp_path: Path) -> None:
    settings = CartSettings(**{**TINY, "steps": 2}, tune={"lr": [0.003], "temperature": [4.0]})
    retriever, loaded = (CartRetriever(settings, kit.encoder, kit.captioner, seed=0) for _ in range(2))
    retriever.fit(*kit.training("text-audio"))
    retriever.index(kit.test("text-audio").candidates[:20])
    retriever.save(tmp_path)
    loaded.load(tmp_path)
    assert loaded.plan == retriever.plan and loaded.plan.lr == 0.003
    assert loaded.temperature == retriever.temperature == 4.0


def test_who_learns_nothing_of_what_is_added_keeps_no_texts(indexed: CartRetriever, kit: Kit, tmp_path: Path) -> None:
    indexed.fit(*kit.training("text-audio"))
    indexed.save(tmp_path)
    assert not (tmp_path / "train_texts.json.gz").exists()


def test_tables_of_nodes_take_no_more_candidates(kit: Kit) -> None:
    gallery = kit.test("text-audio").candidates
    retriever = CartRetriever(
        CartSettings(loss="legal", geometry="centroid", **TINY), encoder=kit.encoder, captioner=kit.captioner, seed=0
    )
    retriever.index(gallery[:30])
    with pytest.raises(Unsupported, match="index the gallery again"):
        retriever.add(gallery[30:])


def test_an_embedding_that_is_no_number_is_named(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(contents: Contents) -> np.ndarray:
        vectors = np.ones((len(contents), kit.encoder.dim), np.float32)
        vectors[7, 0] = np.nan
        return vectors

    monkeypatch.setattr(kit.encoder, "embed", broken)
    with pytest.raises(ValueError, match="the first at position 7"):
        CartRetriever(CartSettings(**TINY), encoder=kit.encoder, captioner=kit.captioner, seed=0).index(
            kit.test("text-audio").candidates
        )


def test_all_equal_embeddings_are_told_apart_by_the_counter(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    same = np.ones((1, kit.encoder.dim), np.float32)
    monkeypatch.setattr(kit.encoder, "embed", lambda contents: same.repeat(len(contents), 0))
    gallery = kit.test("text-audio").candidates
    retriever = CartRetriever(CartSettings(**TINY), encoder=kit.encoder, captioner=kit.captioner, seed=0)
    retriever.index(gallery)
    found = retriever.search(kit.test("text-audio").queries[:3], len(gallery)).ids
    assert all(sorted(row) == list(range(len(gallery))) for row in found.tolist())


def test_a_candidate_without_captions_is_named(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit.captioner, "captions", lambda contents: [["a bell"], []])
    with pytest.raises(ValueError, match="candidate 1 has no caption"):
        CartRetriever(CartSettings(**TINY), encoder=kit.encoder, captioner=kit.captioner, seed=0).index(
            kit.test("text-audio").candidates[:2]
        )


def test_queries_without_a_known_word(indexed: CartRetriever) -> None:
    ranking = indexed.search(texts(["", "xyzzy quux", "..."]), 4)
    assert (ranking.ids >= 0).all() and np.isfinite(ranking.scores).all()

"""A teacher's posterior: right, shared, made from the texts that may be used, and worth learning from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit import Kit

from baselines.dual_tuned import DualTuned
from baselines.settings import DualTunedSettings
from cart.retriever import CartRetriever
from cart.settings import CartSettings
from harness.contract.dataset import Contents, texts
from harness.machine import compute
from harness.nn import distillation
from harness.nn.distillation import Posterior, posterior
from harness.store.artifacts import Store

COUNT, ITEMS = 24, 16


@pytest.fixture(scope="module")
def kit(tiny: Callable[[str], Kit]) -> Kit:
    return tiny("audio")


def gallery_of(kit: Kit) -> Contents:
    return kit.test("text-audio").candidates[:ITEMS]


def taught(kit: Kit, teacher: Any, store: Store | None = None) -> Posterior:
    train, _ = kit.training("text-audio")
    gallery = gallery_of(kit)
    return posterior(teacher, train.queries, gallery, kit.encoder, kit.captioner, COUNT, store)


def softmax(scores: np.ndarray) -> np.ndarray:
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def dense(found: Posterior, size: int) -> np.ndarray:
    whole = np.zeros((len(found), size))
    np.put_along_axis(whole, found.ids.astype(np.int64), found.odds, axis=1)
    return whole


@pytest.mark.parametrize("teacher", ["dual", "likelihood"])
@pytest.mark.parametrize("nearest", [7, 14, 50])  # fewer than the gallery holds with the strangers; without; more
def test_rows_are_distributions_over_different_candidates(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, teacher: Any, nearest: int
) -> None:
    monkeypatch.setattr(distillation, "NEAREST", nearest)
    monkeypatch.setattr(distillation, "PAIRS_AT_ONCE", 64)
    found = taught(kit, teacher)
    gallery = gallery_of(kit)
    assert found.ids.shape == found.odds.shape == (COUNT, min(nearest + distillation.RANDOM, len(gallery)))
    assert np.allclose(found.odds.sum(axis=1), 1, atol=1e-5) and (found.odds >= 0).all()
    assert all(len(set(row)) == len(row) and set(row) <= set(range(len(gallery))) for row in found.ids.tolist())


def test_the_dual_teacher_is_the_softmax_of_its_cosines(kit: Kit) -> None:
    found, gallery = taught(kit, "dual"), gallery_of(kit)
    cosines = kit.encoder.encode(texts(found.texts)) @ kit.encoder.embed(gallery).T
    assert np.allclose(dense(found, len(gallery)), softmax(distillation.SCALE * cosines), atol=1e-5)


def test_the_likelihood_teacher_agrees_with_brute_force(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text by text, candidate by candidate, against batches of texts of a length."""
    monkeypatch.setattr(distillation, "PAIRS_AT_ONCE", 100)
    monkeypatch.setattr(compute, "half_precision", nullcontext)
    found, gallery = taught(kit, "likelihood"), gallery_of(kit)
    prepared = kit.captioner.prepare(gallery)
    scores = np.empty((COUNT, len(gallery)))
    for row, text in enumerate(found.texts):
        for item in range(len(gallery)):
            scores[row, item] = kit.captioner.likelihood([text], prepared, np.array([[0, item]]))[0]
    assert np.allclose(dense(found, len(gallery)), softmax(scores), atol=1e-4)


def test_half_of_the_texts_are_captions_each_judged_for_its_own_candidate_too(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distillation, "NEAREST", 2)
    monkeypatch.setattr(distillation, "RANDOM", 1)
    found, captions = taught(kit, "dual"), kit.captioner.captions(gallery_of(kit))
    train = set(kit.training("text-audio")[0].queries)
    assert sum(text in train for text in found.texts[: COUNT // 2]) == COUNT // 2
    for text, ids in zip(found.texts[COUNT // 2 :], found.ids[COUNT // 2 :].tolist(), strict=True):
        owners = {item for item, each in enumerate(captions) if text in each}
        assert owners & set(ids)


def test_it_is_made_once_and_its_cost_is_booked_with_all_who_use_it(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    score = distillation._scored
    monkeypatch.setattr(distillation, "_scored", lambda *given: calls.append(1) or score(*given))
    store = Store(tmp_path)
    train, gallery = kit.training("text-audio")[0], gallery_of(kit)
    shared = {"teacher": "likelihood", "teacher_texts": COUNT, "batch": 8, "steps": 1}
    books = []
    for build in (
        lambda: DualTuned(
            DualTunedSettings(lr=1e-3, **shared), encoder=kit.encoder, captioner=kit.captioner, store=store, seed=0
        ),
        lambda: CartRetriever(
            CartSettings(clusters=4, codes=4, width=48, **shared),
            encoder=kit.encoder,
            captioner=kit.captioner,
            store=store,
            seed=0,
        ),
    ):
        with store.ledger() as book:
            retriever = build()
            retriever.fit(train, train)
            retriever.index(gallery)
        books.append({entry["kind"]: digest for digest, entry in book.used.items()})
    assert calls == [1]
    assert books[0]["posterior"] == books[1]["posterior"]
    alone, stored = taught(kit, "likelihood"), taught(kit, "likelihood", Store(tmp_path))
    assert alone.texts == stored.texts
    assert np.array_equal(alone.ids, stored.ids) and np.array_equal(alone.odds, stored.odds)
    assert calls == [1, 1]


def test_another_gallery_teacher_or_captioner_makes_another_one(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    train, gallery = kit.training("text-audio")[0].queries, gallery_of(kit)
    tools = (kit.encoder, kit.captioner)
    made = tmp_path / "posterior"
    for number, change in enumerate(
        [
            lambda: posterior("dual", train, gallery, *tools, COUNT, store),
            lambda: posterior("dual", train, gallery[:12], *tools, COUNT, store),
            lambda: posterior("dual", train, gallery, *tools, COUNT + 1, store),
            lambda: posterior("likelihood", train, gallery, *tools, COUNT, store),
        ],
        1,
    ):
        change()
        assert len(list(made.iterdir())) == number
    monkeypatch.setattr(kit.captioner, "digest", "another")
    posterior("dual", train, gallery, *tools, COUNT, store)  # other captions
    assert len(list(made.iterdir())) == 5
    posterior("likelihood", train, gallery, *tools, COUNT, store)
    assert len(list(made.iterdir())) == 6


def contestants(kit: Kit, **settings: Any) -> dict[str, Callable[[], Any]]:
    given: dict[str, Any] = {"teacher_texts": COUNT, "batch": 16, "lr": 1e-3} | settings
    small = {"clusters": 4, "codes": 4, "width": 48, "layers": 1, "loss": "legal"}
    return {
        "dual_tuned": lambda: DualTuned(
            DualTunedSettings(**given), encoder=kit.encoder, captioner=kit.captioner, seed=0
        ),
        "cart": lambda: CartRetriever(
            CartSettings(**given, **small), encoder=kit.encoder, captioner=kit.captioner, seed=0
        ),
    }


@pytest.mark.parametrize("name", ["dual_tuned", "cart"])
@pytest.mark.parametrize("teacher", ["none", "likelihood"])
def test_nothing_but_train_texts_and_generated_captions_is_learnt_from(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, name: str, teacher: Any
) -> None:
    """Provenance: whatever text reaches an instrument or a text tower comes from the train split or from the media."""
    train, validation = kit.training("text-audio")
    gallery = gallery_of(kit)
    allowed = {text for each in kit.captioner.captions(gallery) for text in each}
    allowed |= set(train.queries) if teacher != "none" else set()
    seen: set[str] = set()

    def noting(owner: Any, method: str, texts_of: Callable[..., Sequence[str]]) -> None:
        plain = getattr(owner, method)
        monkeypatch.setattr(owner, method, lambda *given: seen.update(texts_of(*given)) or plain(*given))

    noting(kit.encoder, "encode", lambda contents: list(contents) if contents.modality == "text" else [])
    noting(kit.captioner, "likelihood", lambda asked, *_: asked)
    noting(type(kit.encoder.text_tower()), "tokens", lambda tower, asked: asked)
    retriever = contestants(kit, teacher=teacher, steps=2)[name]()
    retriever.fit(train, validation)
    retriever.index(gallery)
    assert seen and seen <= allowed
    assert bool(seen & set(train.queries)) == (teacher != "none")


@pytest.mark.parametrize("name", ["dual_tuned", "cart"])
def test_who_is_taught_comes_nearer_to_the_teacher(kit: Kit, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A teacher with strange ideas, each train text for one candidate, that captions alone would not teach."""
    train, validation = kit.training("text-audio")
    gallery = gallery_of(kit)
    target = (np.arange(COUNT, dtype=np.int32) % ITEMS)[:, None]
    everyone = (target + np.arange(ITEMS, dtype=np.int32)) % ITEMS
    certain = np.eye(1, ITEMS, dtype=np.float32).repeat(COUNT, axis=0)
    odd = Posterior(tuple(dict.fromkeys(train.queries))[:COUNT], everyone, certain)
    hits = {}
    for teacher in ("none", "dual"):
        monkeypatch.setattr(
            distillation, "posterior", lambda teacher, *_: odd if teacher == "dual" else distillation.NOTHING
        )
        retriever = contestants(kit, teacher=teacher, steps=30, batch=24, lr=3e-3)[name]()
        retriever.fit(train, validation)
        retriever.index(gallery)
        ids = retriever.search(texts(odd.texts), 5).ids
        hits[teacher] = float((ids == target).any(axis=1).mean())
    assert hits["dual"] > hits["none"] + 0.3, hits


def test_a_teacher_without_texts_says_so(kit: Kit) -> None:
    train, validation = kit.training("audio-text")
    retriever = DualTuned(
        DualTunedSettings(steps=1, batch=4, lr=1e-3, teacher="dual"),
        encoder=kit.encoder,
        captioner=kit.captioner,
        seed=0,
    )
    with pytest.raises(ValueError, match="teacher: dual needs the texts of a train split"):
        retriever.index(gallery_of(kit))
    retriever.fit(train, validation)  # asks with media
    with pytest.raises(ValueError, match="teacher: dual needs the texts of a train split"):
        retriever.index(gallery_of(kit))

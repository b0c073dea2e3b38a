"""An encoder that can only `encode` is enough for CART's `text: vector` and for dual_tuned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kit import Kit

from baselines.dual_tuned import DualTuned
from baselines.settings import DualTunedSettings
from cart.retriever import CartRetriever
from cart.settings import CartSettings
from harness.contract.dataset import Contents, Modality
from harness.contract.instruments import Encoder
from harness.contract.problems import BadInput
from harness.contract.retriever import Retriever
from harness.nn.layers import parameter_count


class Plain(Encoder):
    """What somebody else's encoder is: vectors, and nothing else."""

    modalities: tuple[Modality, ...] = ("text", "audio")

    def __init__(self, inner: Encoder) -> None:
        self.inner, self.dim, self.digest, self.parameters = inner, inner.dim, "plain", 1000

    def encode(self, contents: Contents) -> np.ndarray:
        return self.inner.encode(contents)

    def save(self, folder: Path) -> None:
        """Nothing is learnt."""

    def load(self, folder: Path) -> None:
        """Nothing is kept."""


@pytest.fixture
def kit(tiny: Callable[[str], Kit]) -> Kit:
    return tiny("audio")


def cart(kit: Kit, encoder: Encoder, start: Any = None, **settings: object) -> CartRetriever:
    sizes = {"clusters": 4, "books": 1, "codes": 8, "steps": 4, "batch": 16, "width": 16, "layers": 1, "beams": 10}
    given: dict[str, Any] = {"text": "vector", **sizes, **settings, "start": start and "tuned"}
    return CartRetriever(CartSettings(**given), encoder, kit.captioner, seed=0, start=start)


def tuned(kit: Kit, encoder: Encoder, steps: int = 5) -> DualTuned:
    return DualTuned(
        DualTunedSettings(steps=steps, batch=32, lr=1e-3), encoder=encoder, captioner=kit.captioner, seed=0
    )


def indexed(kit: Kit, retriever: Any) -> Any:
    retriever.fit(*kit.training("text-audio"))
    retriever.index(kit.test("text-audio").candidates)
    return retriever


def same(kit: Kit, one: Retriever, other: Retriever) -> None:
    queries = kit.test("text-audio").queries
    found, expected = one.search(queries, 5), other.search(queries, 5)
    assert np.array_equal(found.ids, expected.ids)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


def test_cart_reads_vectors_of_any_encoder(kit: Kit, tmp_path: Path) -> None:
    made = indexed(kit, cart(kit, Plain(kit.encoder)))
    queries = kit.test("text-audio").queries
    encoded = made.model.encoder.tokens(list(queries))
    np.testing.assert_allclose(encoded, kit.encoder.encode(queries), atol=1e-6)
    made.save(tmp_path)
    again = cart(kit, Plain(kit.encoder))
    again.load(tmp_path)
    same(kit, again, made)
    assert made.footprint().parameters > 1000, "the encoder's are among them"
    with pytest.raises(BadInput, match="Plain offers no text side; write `text: vector`"):
        indexed(kit, cart(kit, Plain(kit.encoder), text="tower"))


def test_dual_tuned_learns_a_map_of_the_vectors(kit: Kit, tmp_path: Path) -> None:
    made = tuned(kit, Plain(kit.encoder))
    indexed(kit, made)
    start = tuned(kit, Plain(kit.encoder), steps=1)
    indexed(kit, start)
    first = torch.eye(kit.encoder.dim)
    assert 0 < (start.tower.map.weight - first).norm() < (made.tower.map.weight - first).norm()
    assert made.footprint().parameters == 1000 + parameter_count(made.tower)
    made.save(tmp_path)
    again = tuned(kit, Plain(kit.encoder))
    again.load(tmp_path)
    same(kit, again, made)
    started = indexed(kit, cart(kit, Plain(kit.encoder), start=made))
    (tmp_path / "cart").mkdir()
    started.save(tmp_path / "cart")
    loaded = cart(kit, Plain(kit.encoder), start=again)
    loaded.load(tmp_path / "cart")
    same(kit, loaded, started)

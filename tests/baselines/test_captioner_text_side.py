"""The captioner's text side as a text tower: what it reads, what of it is trained, texts encoded before training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import uninitialised
from kit import Kit

from baselines.captioners import text_side
from baselines.captioners.text_side import CaptionerText
from harness.nn.batching import vectors


@pytest.fixture(scope="module")
def tower(tiny: Callable[[str], Kit]) -> CaptionerText:
    return tiny("audio").captioner.text_tower(16)


@pytest.fixture(scope="module")
def texts(tiny: Callable[[str], Kit]) -> list[str]:
    return [*tiny("audio").test("text-audio").queries[:30], ""]


def test_a_text_has_a_state_for_each_word_and_one_vector(tower: CaptionerText, texts: list[str]) -> None:
    tokens = tower.tokens(texts)
    states, vector = tower.layered(tokens)
    assert len(states) == tower.layers and all(x.shape == (*tokens.shape, tower.width) for x in states)
    assert torch.allclose(vector.norm(dim=-1), torch.ones(len(texts)), atol=1e-5) and vector.shape[1] == 16


def test_words_attend_to_those_before_them_and_padding_changes_nothing(tower: CaptionerText, texts: list[str]) -> None:
    tokens = tower.tokens(texts[:1])
    states, vector = tower.layered(tokens)
    longer, same = tower.layered(torch.nn.functional.pad(tokens, (0, 5)))
    assert torch.allclose(vector, same, atol=1e-5)
    assert torch.allclose(states[-1], longer[-1][:, : tokens.shape[1]], atol=1e-4)
    first, _ = tower.layered(tokens[:, :3])
    assert torch.allclose(states[-1][:, :3], first[-1], atol=1e-4)


def test_texts_of_a_length_together_come_out_in_their_own_order(tower: CaptionerText, texts: list[str]) -> None:
    found = vectors(tower, texts, "cpu", 4)
    expected = torch.cat([tower.layered(tower.tokens([text]))[1] for text in texts])
    assert torch.allclose(found, expected.detach(), atol=1e-4)


def test_only_what_makes_the_vector_is_trained(tower: CaptionerText, texts: list[str]) -> None:
    _, vector = tower.layered(tower.tokens(texts[:3]))
    vector.sum().backward()
    moved = {name for name, parameter in tower.named_parameters() if parameter.grad is not None}
    assert moved == {"norms.1.weight", "norms.1.bias", "meant.weight", "meant.bias", "out.weight", "out.bias"}


def test_precomputed_vectors_are_those_computed_at_once(
    tower: CaptionerText, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tower.tokens(texts)
    encode = tower.precomputed(rows, torch.device("cpu"))
    assert encode is not None
    chosen = torch.from_numpy(np.random.default_rng(0).permutation(len(texts))[:7])
    cosines = (encode(chosen) * tower.layered(rows[chosen])[1]).sum(-1)
    assert (cosines > 0.999).all()  # kept in half precision
    monkeypatch.setattr(text_side, "AT_ONCE", 4)  # what is read together is padded together, and no further
    with uninitialised.filled():
        encode = tower.precomputed(rows, torch.device("cpu"))
    assert encode is not None
    tower.zero_grad()
    (encode(chosen) * tower.layered(rows[chosen])[1].detach()).sum().backward()
    assert all(each.grad is None or each.grad.isfinite().all() for each in tower.parameters())
    monkeypatch.setattr(text_side, "MOST", 10)
    assert tower.precomputed(rows, torch.device("cpu")) is None

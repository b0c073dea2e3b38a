"""The captioner's text side as a text tower: what it reads, what of it is trained, texts heard ahead of training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import uninitialised
from kit import Kit

from baselines.captioners import listener
from baselines.captioners.listener import Listener
from harness.nn.layers import vectors


@pytest.fixture(scope="module")
def hearing(tiny: Callable[[str], Kit]) -> Listener:
    return tiny("audio").captioner.text_tower(16)


@pytest.fixture(scope="module")
def texts(tiny: Callable[[str], Kit]) -> list[str]:
    return [*tiny("audio").test("text-audio").queries[:30], ""]


def test_a_text_has_a_state_for_each_word_and_one_vector(hearing: Listener, texts: list[str]) -> None:
    tokens = hearing.tokens(texts)
    states, vector = hearing.layered(tokens)
    assert len(states) == hearing.layers and all(x.shape == (*tokens.shape, hearing.width) for x in states)
    assert torch.allclose(vector.norm(dim=-1), torch.ones(len(texts)), atol=1e-5) and vector.shape[1] == 16


def test_words_hear_what_came_before_them_and_padding_changes_nothing(hearing: Listener, texts: list[str]) -> None:
    tokens = hearing.tokens(texts[:1])
    states, vector = hearing.layered(tokens)
    longer, same = hearing.layered(torch.nn.functional.pad(tokens, (0, 5)))
    assert torch.allclose(vector, same, atol=1e-5)
    assert torch.allclose(states[-1], longer[-1][:, : tokens.shape[1]], atol=1e-4)
    first, _ = hearing.layered(tokens[:, :3])
    assert torch.allclose(states[-1][:, :3], first[-1], atol=1e-4)


def test_texts_of_a_length_together_come_out_in_their_own_order(hearing: Listener, texts: list[str]) -> None:
    found = vectors(hearing, texts, "cpu", at_once=4)
    expected = torch.cat([hearing.layered(hearing.tokens([text]))[1] for text in texts])
    assert torch.allclose(found, expected.detach(), atol=1e-4)


def test_only_what_makes_the_vector_is_trained(hearing: Listener, texts: list[str]) -> None:
    _, vector = hearing.layered(hearing.tokens(texts[:3]))
    vector.sum().backward()
    moved = {name for name, parameter in hearing.named_parameters() if parameter.grad is not None}
    assert moved == {"norms.1.weight", "norms.1.bias", "meant.weight", "meant.bias", "out.weight", "out.bias"}


def test_heard_ahead_is_what_is_heard_at_once(
    hearing: Listener, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = hearing.tokens(texts)
    hear = hearing.ahead(rows, torch.device("cpu"))
    assert hear is not None
    chosen = torch.from_numpy(np.random.default_rng(0).permutation(len(texts))[:7])
    cosines = (hear(chosen) * hearing.layered(rows[chosen])[1]).sum(-1)
    assert (cosines > 0.999).all()  # kept in half precision
    monkeypatch.setattr(listener, "AT_ONCE", 4)  # what is read together is padded together, and no further
    with uninitialised.filled():
        hear = hearing.ahead(rows, torch.device("cpu"))
    assert hear is not None
    hearing.zero_grad()
    (hear(chosen) * hearing.layered(rows[chosen])[1].detach()).sum().backward()
    assert all(each.grad is None or each.grad.isfinite().all() for each in hearing.parameters())
    monkeypatch.setattr(listener, "MOST", 10)
    assert hearing.ahead(rows, torch.device("cpu")) is None

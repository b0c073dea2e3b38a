"""The small captioner: what it says, how likely it finds what others say, and that its cache changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from kit import Kit

from baselines.captioners.decoder import END, nll
from baselines.captioners.settings import SmallCaptionerSettings
from baselines.captioners.small import SmallCaptioner
from harness.machine import compute
from harness.nn.words import START


def untrained(kit: Kit, steps: int = 3, seed: int = 0) -> SmallCaptioner:
    settings = {"items": 8, "texts": 2, "lr": 1e-3, "samples": 4, "temperature": 1.0}
    return SmallCaptioner(
        SmallCaptionerSettings(steps=steps, encoder="tiny", **settings), encoder=kit.encoder, seed=seed
    )


@pytest.fixture(scope="module")
def captioner(tiny: Callable[[str], Kit]) -> SmallCaptioner:
    captioner = untrained(tiny("audio"))
    captioner.fit(*tiny("audio").training("text-audio"))
    return captioner


def test_describes_every_item_as_often_as_asked(captioner: SmallCaptioner, tiny: Callable[[str], Kit]) -> None:
    gallery = tiny("audio").test("text-audio").candidates
    captions = captioner.describe(gallery)
    assert len(captions) == len(gallery) and all(len(each) == 4 for each in captions)
    assert captions == captioner.describe(gallery)
    words = {word for each in captions for text in each for word in text.split()}
    assert words <= set(captioner.vocabulary.words)


def test_likelihood_is_the_sum_over_words(captioner: SmallCaptioner, tiny: Callable[[str], Kit]) -> None:
    pairs = tiny("audio").test("text-audio")
    texts = [*pairs.queries[:6], ""]
    prepared = captioner.prepare(pairs.candidates[:3])
    asked = np.array([[text, item] for text in range(7) for item in range(3)])
    found = captioner.likelihood(texts, prepared, asked)
    for (text, item), value in zip(asked.tolist(), found, strict=True):
        tokens = torch.tensor([[*captioner.vocabulary.tokens(texts[text]), END]])
        with torch.inference_mode():
            odds = captioner.decoder(tokens, prepared[item : item + 1]).log_softmax(-1)[0]
        expected = sum(float(odds[place, tokens[0, place + 1]]) for place in range(tokens.shape[1] - 1))
        assert value == pytest.approx(expected, abs=1e-3)


def test_word_by_word_equals_all_at_once(captioner: SmallCaptioner, tiny: Callable[[str], Kit]) -> None:
    """The cache of `step` against `forward`, with two captions sharing what is seen of each item."""
    media = captioner.prepare(tiny("audio").test("text-audio").candidates[:2])
    tokens = torch.randint(3, len(captioner.vocabulary), (4, 6))
    tokens[:, 0] = START
    with torch.inference_mode():
        whole = captioner.decoder(tokens, media)
        heads, width = captioner.decoder.heads, captioner.media.width
        pasts = [tuple(media.new_zeros(2, 4, heads, 6, width // heads)) for _ in captioner.decoder.blocks]
        for place in range(6):
            step = captioner.decoder.step(tokens[:, place], place, pasts, media)
            assert torch.allclose(step, whole[:, place], atol=1e-4)


def test_who_goes_on_alone_says_what_it_would_have_said(
    tiny: Callable[[str], Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without chance (a temperature near 0) each item has one text, whoever else is still speaking."""
    monkeypatch.setattr(compute, "half_precision", nullcontext)  # rounding may break a near tie either way
    cold = untrained(tiny("audio"), steps=60)
    cold.fit(*tiny("audio").training("text-audio"))
    media = cold.prepare(tiny("audio").test("text-audio").candidates[:12])
    cold.temperature = 1e-6
    together = cold._sample(media, 3, torch.Generator().manual_seed(0))
    lengths = (together != END).sum(1)
    assert lengths.max() > lengths.min(), "or nobody would go on alone"
    for item, tokens in enumerate(together.view(12, 3, -1)):
        alone = cold._sample(media[item : item + 1], 1, torch.Generator().manual_seed(1))
        assert torch.equal(tokens, alone.expand(3, -1))


def test_padding_costs_nothing_and_the_end_costs_once() -> None:
    logits = torch.randn(1, 6, 9)
    tokens = torch.tensor([[START, 4, 5, END, END, END]])
    costs = nll(logits, tokens)[0]
    assert (costs[:3] > 0).all() and (costs[3:] == 0).all()


def test_learns_to_prefer_the_right_item(tiny: Callable[[str], Kit]) -> None:
    captioner = untrained(tiny("audio"), steps=40)
    train, validation = tiny("audio").training("text-audio")
    captioner.fit(train, validation)
    texts = list(train.queries[:100])
    prepared = captioner.prepare(train.candidates[:20])
    asked = np.array([[text, item] for text in range(100) for item in range(20)])
    scores = captioner.likelihood(texts, prepared, asked).reshape(100, 20)
    right = train.links.targets[:100]
    better = (scores > scores[np.arange(100), right][:, None]).mean()
    assert better < 0.4  # half of the others would be chance


def test_saved_and_loaded_says_the_same(captioner: SmallCaptioner, tiny: Callable[[str], Kit], tmp_path: Path) -> None:
    captioner.save(tmp_path)
    again = untrained(tiny("audio"))
    again.load(tmp_path)
    gallery = tiny("audio").test("text-audio").candidates[:5]
    assert again.describe(gallery) == captioner.describe(gallery)
    assert again.parameters == captioner.parameters > 0

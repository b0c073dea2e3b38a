"""The prefix captioner: vectors are all that it sees of an item, and its words those of the train split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from kit import Kit

from baselines.captioners.decoder import END
from baselines.captioners.prefix import PrefixCaptioner
from baselines.captioners.settings import PrefixCaptionerSettings
from harness.contract.dataset import Contents, Links, Pairs, texts
from harness.contract.instruments import Encoder
from harness.nn.words import LONGEST


class Known(Encoder):
    """Each item has a vector of its own, which says nothing of how it sounds."""

    dim = 24
    modalities = ("audio",)

    def encode(self, contents: Contents) -> np.ndarray:
        rows = np.stack([np.random.default_rng(place).normal(size=self.dim) for place in contents.positions.tolist()])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


def made(steps: int = 4, width: int = 48) -> PrefixCaptioner:
    settings = PrefixCaptionerSettings(
        encoder="known", trained_on="sounds", steps=steps, items=8, texts=2, prefix=3, width=width, samples=4, lr=0.003
    )
    return PrefixCaptioner(settings, Known(), seed=0)


@pytest.fixture(scope="module")
def train(tiny: Callable[[str], Kit]) -> Pairs:
    return tiny("audio").training("text-audio")[0]


@pytest.fixture(scope="module")
def captioner(train: Pairs) -> PrefixCaptioner:
    captioner = made()
    captioner.fit(train, train)
    return captioner


def test_says_words_of_the_train_split_of_any_vector(captioner: PrefixCaptioner, tiny: Callable[[str], Kit]) -> None:
    captions = captioner.describe(tiny("audio").test("text-audio").candidates)
    assert all(len(each) == 4 for each in captions)
    assert {word for each in captions for text in each for word in text.split()} <= set(captioner.vocabulary.words)


def test_is_kept_with_all_that_it_has_learnt(captioner: PrefixCaptioner, train: Pairs, tmp_path: Path) -> None:
    captioner.save(tmp_path)
    again = made()
    again.load(tmp_path)
    few = train.candidates[:5]
    assert again.describe(few) == captioner.describe(few)
    pairs = np.array([[0, 0], [1, 0], [0, 4]])
    said = list(train.queries[:2])
    likely = [each.likelihood(said, each.prepare(few), pairs) for each in (captioner, again)]
    assert np.array_equal(*likely) and captioner.parameters == again.parameters > 0


def test_learns_which_words_belong_to_a_vector(train: Pairs) -> None:
    """Of a few items it knows the captions by heart: each is likelier of its own item than of the others."""
    told = np.flatnonzero(train.links.targets < 8)  # each caption has one item
    own = train.links.targets[told]
    few = Pairs(train.queries[told], train.candidates[:8], Links(np.arange(len(told) + 1), own))
    captioner = made(steps=150)
    captioner.fit(few, few)
    asked = np.array([[text, item] for text in range(len(told)) for item in range(8)])
    found = captioner.likelihood(list(few.queries), captioner.prepare(few.candidates), asked).reshape(-1, 8)
    assert len(told) == 40 and (found.argmax(1) == own).mean() > 0.8


@pytest.mark.parametrize("length", [1, LONGEST - 1, LONGEST + 9])
def test_learns_where_texts_end_even_if_all_are_of_a_length(train: Pairs, length: int) -> None:
    count = len(train.candidates)
    said = texts([" ".join([("dog", "rain", "horn")[place % 3]] * length) for place in range(count)])
    pairs = Pairs(said, train.candidates, Links.paired(np.arange(count), np.arange(count), count))
    captioner = made(steps=60)
    captioner.fit(pairs, pairs)
    kept = min(length, LONGEST - 1)
    ends = captioner._sample(captioner.prepare(train.candidates[:6]), 4, torch.Generator().manual_seed(0)) == END
    assert (ends.sum(1) == LONGEST - kept).float().mean() > 0.8


def test_a_prefix_is_a_few_states_of_each_vector(captioner: PrefixCaptioner, train: Pairs) -> None:
    vectors = torch.from_numpy(Known().encode(train.candidates[:6]))
    with torch.inference_mode():
        states = captioner.media.states(vectors)
        alone = captioner.media.states(vectors[2:3])
    assert states.shape == (6, 3, 48)
    assert torch.allclose(states[2:3], alone, atol=1e-5)

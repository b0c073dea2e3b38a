"""CART's text encoders: their layers, their words, what is trained of them and what is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kit import Kit
from safetensors import safe_open
from transformers import BertConfig, BertModel, BertTokenizerFast, T5Config, T5EncoderModel

from cart.retriever import CartRetriever
from cart.settings import CartSettings
from cart.text import Pretrained, Scratch, Tower
from harness.contract.dataset import Unavailable, texts
from harness.nn.words import LONGEST, Vocabulary, split
from harness.suite.registry import kinds
from harness.suite.spec import Component

TINY: dict[str, Any] = {"identifiers": "random", "steps": 6, "batch": 16, "width": 48, "layers": 1, "beams": 50}
CAPTIONS = [["a dog barks", "a bell"], ["a dog, then a bell"]]


@pytest.fixture(scope="module")
def kit(tiny: Callable[[str], Kit]) -> Kit:
    return tiny("audio")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory, kit: Kit) -> dict[str, Path]:
    """A BERT and a T5 of random weights, with one tokenizer that knows the words of the captions."""
    words = sorted({word for text in kit.training("text-audio")[0].queries for word in split(text)})
    made = {name: tmp_path_factory.mktemp(name) for name in ("bert", "t5")}
    torch.manual_seed(0)
    for name, folder in made.items():
        (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
        BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
        if name == "bert":
            size = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
            BertModel(BertConfig(vocab_size=len(words) + 5, **size)).save_pretrained(folder)
        else:
            shape = {"d_model": 24, "d_kv": 12, "d_ff": 32, "num_layers": 3, "num_heads": 2, "dropout_rate": 0.5}
            T5EncoderModel(T5Config(vocab_size=len(words) + 5, **shape)).save_pretrained(folder)
    return made


def indexed(kit: Kit, scratch: Path | None = None, **settings: Any) -> CartRetriever:
    retriever = CartRetriever(CartSettings(**TINY | settings), kit.encoder, kit.captioner, seed=0, scratch=scratch)
    retriever.index(kit.test("text-audio").candidates)
    return retriever


# -- from scratch -----------------------------------------------------------------------------------------------------


def test_the_vocabulary_is_that_of_the_captions() -> None:
    words = list(Vocabulary.learn((text for each in CAPTIONS for text in each), starts=False).words)
    assert words == ["a", "bell", "dog", "barks", "then"]  # by frequency, then by alphabet
    scratch = Scratch(words, 16, 0.0)
    rows = scratch.tokens(["A DOG miaows", "", "bell " * 100])
    assert rows.shape == (3, LONGEST)
    assert rows[0, :4].tolist() == [2, 4, 1, 0]
    assert not rows[1].any() and (rows[2] == 3).all()
    encoded = scratch(rows)
    assert len(encoded.states) == scratch.layers and encoded.states[0].shape == (3, LONGEST, scratch.width)
    assert all(bool(state.isfinite().all()) for state in encoded.states)


# -- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_every_layer_of_a_checkpoint_is_heard(checkpoints: dict[str, Path], name: str) -> None:
    text = Pretrained(checkpoints[name]).eval()
    rows = text.tokens(["a", "first a rising tone then a falling tone"])
    assert (rows[0] != 0).sum() < (rows[1] != 0).sum() == rows.shape[1]
    encoded = text(rows)
    assert (text.layers, text.width) == (3, 24) and len(encoded.states) == 3
    numbers = text.tokenizer(["a"], return_tensors="pt")["input_ids"]
    states = text.source(input_ids=numbers, output_hidden_states=True).hidden_states[1:]
    for norm, mine, its in zip(text.norms, encoded.states, states, strict=True):
        # alone or beside a longer text, it is heard as the checkpoint itself hears it
        assert torch.allclose(mine[0, : numbers.shape[1]], norm(its)[0], atol=1e-5)


def test_texts_without_words_are_heard_too(checkpoints: dict[str, Path]) -> None:
    text = Pretrained(checkpoints["bert"]).eval()
    assert text.tokens([]).shape == (0, 1)
    for rows in (text.tokens([""]), torch.zeros(1, 3, dtype=torch.int64)):
        assert all(bool(state.isfinite().all()) for state in text(rows).states)


def test_a_checkpoint_that_is_not_here(kit: Kit) -> None:
    with pytest.raises(Unavailable, match="weights get nobody/nothing"):
        indexed(kit, text=Path("nobody/nothing"))


# -- in the retriever -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "frozen"), [("scratch", False), ("tower", True), ("bert", False), ("bert", True), ("t5", True)]
)
def test_saved_and_loaded_it_answers_the_same(
    kit: Kit, checkpoints: dict[str, Path], tmp_path: Path, name: str, frozen: bool
) -> None:
    text: Any = checkpoints.get(name, name)
    retriever = indexed(kit, text=text, frozen=frozen)
    retriever.save(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as stored:
        kept = [key for key in stored.keys() if key.startswith("encoder.source.")]  # noqa: SIM118  it is no mapping
    assert bool(kept) == (not frozen)
    again = CartRetriever(
        CartSettings(text=text, frozen=frozen, **TINY), encoder=kit.encoder, captioner=kit.captioner, seed=0
    )
    again.load(tmp_path)
    assert again.words == retriever.words and bool(again.words) == (name == "scratch")
    queries = kit.test("text-audio").queries[:20]
    found, expected = again.search(queries, 5), retriever.search(queries, 5)
    assert np.array_equal(found.ids, expected.ids) and np.allclose(found.scores, expected.scores, atol=1e-5)
    silent = again.search(texts(["", "xyzzy"]), 3)
    assert (silent.ids >= 0).all() and np.isfinite(silent.scores).all()


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_weights_stay_and_others_learn(kit: Kit, checkpoints: dict[str, Path], frozen: bool) -> None:
    """The fine branch reads every layer, so that every weight below has a gradient where it may."""
    before = Pretrained(checkpoints["t5"]).source.state_dict()
    retriever = indexed(kit, text=checkpoints["t5"], frozen=frozen)
    encoder: Any = retriever.model.encoder
    after = encoder.source.state_dict()
    same = [torch.equal(before[name], after[name]) for name in before]
    assert all(same) if frozen else not any(same)
    assert not torch.equal(encoder.norms[0].weight, torch.ones(24))  # ours learn in both cases


@pytest.mark.parametrize("frozen", [True, False])
def test_a_checkpoint_of_training_has_all_its_weights(
    kit: Kit, checkpoints: dict[str, Path], frozen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T5 has two names for one tensor, which a file of tensors doesn't take."""
    trained = indexed(kit, tmp_path, text=checkpoints["t5"], frozen=frozen).model.state_dict()
    monkeypatch.setattr("cart.training.backward", None)  # nothing is left to do
    resumed = indexed(kit, tmp_path, text=checkpoints["t5"], frozen=frozen).model.state_dict()
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in trained.items())


@pytest.mark.parametrize("frozen", [True, False])
def test_dropout_of_a_frozen_one_rests_in_training(checkpoints: dict[str, Path], frozen: bool) -> None:
    text = Pretrained(checkpoints["t5"], frozen)
    text.eval()
    text.train()
    rows = text.tokens(["first a rising tone"])
    assert text.training and text.source.training == (not frozen)
    assert torch.equal(text(rows).states[-1], text(rows).states[-1]) == frozen


def test_a_frozen_tower_is_the_encoders_own(kit: Kit) -> None:
    retriever = indexed(kit, frozen=True)
    text: Any = retriever.model.encoder
    assert isinstance(text, Tower)
    lent: Any = kit.encoder.text_tower()
    assert all(torch.equal(weight, lent.state_dict()[name]) for name, weight in text.source.state_dict().items())


def test_another_checkpoint_in_the_same_folder_is_another_retriever(tmp_path: Path) -> None:
    entry = kinds("retrievers")["cart"]
    defaults = dict(entry.settings())

    def digest(text: Any) -> str:
        return Component("cart", "retrievers", "cart", defaults | {"text": text}, None, entry).digest

    digests = [digest("tower"), digest("scratch"), digest(tmp_path / "model")]
    (tmp_path / "model").mkdir()
    for weights in ("some", "others"):
        (tmp_path / "model" / "model.safetensors").write_text(weights)
        digests.append(digest(tmp_path / "model"))
    assert len(set(digests)) == 5
    (tmp_path / "model" / ".hidden").write_text("of no account")
    (tmp_path / "model").rename(tmp_path / "moved")
    assert digest(tmp_path / "moved") == digests[-1]

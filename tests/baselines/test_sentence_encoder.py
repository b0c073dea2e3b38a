"""The `sentence_transformers` encoder against the same steps by hand, media by another encoder, and bad folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_checkpoints
import torch
from encoders_alike import NOTHING, made, same_after_loading, same_one_by_one
from kit import Kit
from safetensors.torch import load_file
from tiny_checkpoints import CAPTIONS

from baselines.encoders.precomputed import PrecomputedEncoder
from baselines.encoders.sentences import SentenceEncoder
from baselines.encoders.settings import PrecomputedSettings, SentencesSettings
from harness.contract.dataset import Contents, Unavailable, texts
from harness.contract.problems import BadInput

LONG = "a red circle left of a blue square above a dog"  # eight tokens are read, two of them marks


def by_hand(folder: Path, text: str, pooling: str) -> torch.Tensor:
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(text, truncation=True, max_length=8, return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0]
    pooled = {"mean": states.mean(0), "cls": states[0], "last": states[-1], "max": states.amax(0)}[pooling]
    if (folder / "2_Dense").exists():
        dense = load_file(folder / "2_Dense" / "model.safetensors")
        pooled = torch.tanh(dense["linear.weight"] @ pooled + dense["linear.bias"])
    return pooled / pooled.norm()


@pytest.mark.parametrize(
    ("mode", "pooling", "dense"),
    [("mean_tokens", "mean", 0), ("cls_token", "cls", 6), ("lasttoken", "last", 0), ("max_tokens", "max", 0)],
)
def test_it_pools_as_its_folder_says(tmp_path: Path, mode: str, pooling: str, dense: int) -> None:
    folder = tiny_checkpoints.sentences(tmp_path, mode, dense)
    encoder = made(SentenceEncoder(SentencesSettings(checkpoint=folder)))
    assert encoder.dim == (dense or 16)
    asked = ["A Red circle", "rain", LONG]
    expected = torch.stack([by_hand(folder, text.lower(), pooling) for text in asked])
    np.testing.assert_allclose(encoder.encode(texts(asked)), expected, atol=1e-5)
    same_one_by_one(encoder, CAPTIONS)
    tower = encoder.text_tower().eval()
    with torch.inference_mode():
        states, vectors = tower.layered(tower.tokens(asked))
    assert [each.shape for each in states] == [(3, 8, 16)] * 2
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


@pytest.mark.parametrize(("key", "path"), [("embedding.weight", "0_StaticEmbedding"), ("embeddings", "")])
def test_a_table_of_token_vectors_is_averaged(tmp_path: Path, key: str, path: str) -> None:
    encoder = made(SentenceEncoder(SentencesSettings(checkpoint=tiny_checkpoints.static(tmp_path, key, path))))
    table = load_file(tmp_path / path / "model.safetensors")[key].float()
    words = ["a red circle", "rain", "unheard rain"]
    rows = [
        [["<unk>", *tiny_checkpoints.WORDS].index(w) if w != "unheard" else 0 for w in text.split()] for text in words
    ]
    expected = torch.stack([torch.nn.functional.normalize(table[row].mean(0), dim=0) for row in rows])
    np.testing.assert_allclose(encoder.encode(texts(words)), expected, atol=1e-5)
    assert np.isfinite(encoder.encode(texts([""]))).all()
    same_one_by_one(encoder, CAPTIONS)
    encoder.save(tmp_path)
    again = SentenceEncoder(SentencesSettings(checkpoint=tmp_path))
    again.load(tmp_path)
    assert np.array_equal(again.encode(CAPTIONS), encoder.encode(CAPTIONS))
    with pytest.raises(NotImplementedError):
        encoder.text_tower()


def test_a_table_that_is_not_one_is_told(tmp_path: Path) -> None:
    folder = tiny_checkpoints.static(tmp_path, "weights")
    with pytest.raises(BadInput, match=r"expected a table of vectors named embedding\.weight or embeddings"):
        made(SentenceEncoder(SentencesSettings(checkpoint=folder)))
    (folder / "0_StaticEmbedding" / "tokenizer.json").unlink()
    with pytest.raises(BadInput, match=r"0_StaticEmbedding needs tokenizer\.json"):
        made(SentenceEncoder(SentencesSettings(checkpoint=folder)))


def test_a_plain_checkpoint_with_pooling_and_a_prompt(tmp_path: Path) -> None:
    folder = tiny_checkpoints.sentences(tmp_path)
    told = {"prompts": {"query": "dog "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(told))
    with_prompt = made(SentenceEncoder(SentencesSettings(checkpoint=folder))).encode(texts(["rain"]))
    assert np.array_equal(
        with_prompt, made(SentenceEncoder(SentencesSettings(checkpoint=folder, prompt=""))).encode(texts(["dog rain"]))
    )
    for name in ("modules.json", "sentence_bert_config.json"):
        (folder / name).unlink()
    with pytest.raises(BadInput, match=r"has no modules\.json.*write `pooling: mean`"):
        made(SentenceEncoder(SentencesSettings(checkpoint=folder)))
    plain = made(SentenceEncoder(SentencesSettings(checkpoint=folder, pooling="mean", prompt="")))
    expected = by_hand(folder, "dog rain", "mean")
    np.testing.assert_allclose(plain.encode(texts(["dog rain"]))[0], expected, atol=1e-5)


def test_media_are_the_other_encoders(tmp_path: Path) -> None:
    folder = tiny_checkpoints.sentences(tmp_path)
    rows = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
    np.savez(tmp_path / "media.npz", vectors=rows, names=np.array(["a", "b", "c"]))
    media = PrecomputedEncoder(PrecomputedSettings(media=tmp_path / "media.npz"))
    media.fit(NOTHING, NOTHING)
    encoder = made(SentenceEncoder(SentencesSettings(checkpoint=folder), media=media))
    pictures = Contents("image", str, np.array([2, 0]), "three", "abc".__getitem__)
    assert np.array_equal(encoder.embed(pictures), media.encode(pictures))
    (tmp_path / "kept").mkdir()
    same_after_loading(
        lambda: SentenceEncoder(SentencesSettings(checkpoint=folder), media=media), CAPTIONS, tmp_path / "kept"
    )
    with pytest.raises(BadInput, match=r"encodes text alone, and image is asked for; .*media: {kind: precomputed"):
        made(SentenceEncoder(SentencesSettings(checkpoint=folder))).encode(pictures)
    (tmp_path / "wide").mkdir()
    with pytest.raises(BadInput, match="makes vectors of dimension 6, and its `media` has 16"):
        made(
            SentenceEncoder(
                SentencesSettings(checkpoint=tiny_checkpoints.sentences(tmp_path / "wide", dense=6)), media=media
            )
        )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("modules.json", "[", "modules.json is no JSON"),
        ("modules.json", '[{"type": "x.CLIPModel", "path": ""}]', "has CLIPModel; expected Transformer, Pooling"),
        ("1_Pooling/config.json", "{}", "pools by nothing; expected one of mean, cls"),
        ("1_Pooling/config.json", '{"pooling_mode_weightedmean_tokens": true}', "pools by pooling_mode_weightedmean"),
        ("2_Dense/config.json", '{"activation_function": "torch.nn.Mish"}', "2_Dense needs .* not Mish"),
        ("model.safetensors", "", "can't load it"),
    ],
)
def test_folders_that_are_not_what_they_should_be(tmp_path: Path, name: str, content: str, words: str) -> None:
    folder = tiny_checkpoints.sentences(tmp_path, dense=6)
    (folder / name).write_text(content)
    with pytest.raises(BadInput, match=words):
        made(SentenceEncoder(SentencesSettings(checkpoint=folder)))


def test_a_folder_that_is_not_here(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="weights get nobody/nothing"):
        made(SentenceEncoder(SentencesSettings(checkpoint=Path("nobody/nothing"))))


def test_what_learns_may_go_on_from_it(tmp_path: Path, tiny: Callable[[str], Kit]) -> None:
    tower = SentenceEncoder(SentencesSettings(checkpoint=tiny_checkpoints.sentences(tmp_path))).text_tower()
    before = tower.layered(tower.tokens(["rain"]))[1]
    before[0, 0].backward()
    assert any(each.grad is not None for each in tower.parameters())

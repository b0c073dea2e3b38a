"""The `clip` encoder gives what transformers' own forward gives on the same inputs: on tiny random checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import harm
import numpy as np
import pytest
import tiny_checkpoints
import torch
from encoders_alike import made, same_after_loading, same_one_by_one
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_checkpoints import CAPTIONS, pictures
from torch import Tensor
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from baselines.encoders.clip import ClipEncoder
from baselines.encoders.settings import ClipSettings
from cart.text import Tower
from harness.contract.dataset import Unavailable, texts
from harness.contract.problems import BadInput
from harness.machine import compute


@pytest.fixture(scope="module", params=["clip", "siglip"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make: Callable[[Path], Path] = getattr(tiny_checkpoints, request.param)
    return make(tmp_path_factory.mktemp(request.param))


def unit(vectors: Any) -> np.ndarray:
    found: Tensor = getattr(vectors, "pooler_output", vectors)
    return torch.nn.functional.normalize(found.detach(), dim=-1).numpy()


@torch.inference_mode()
def theirs(checkpoint: Path, strings: list[str], images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    model, tokenizer = AutoModel.from_pretrained(checkpoint).eval(), AutoTokenizer.from_pretrained(checkpoint)
    see = AutoImageProcessor.from_pretrained(checkpoint)
    words = tokenizer(strings, padding="max_length", truncation=True, return_tensors="pt")
    if model.config.model_type == "siglip":
        words = {"input_ids": words["input_ids"]}
    pixels = see(images=[Image.fromarray(image) for image in images], return_tensors="pt")
    return unit(model.get_text_features(**words)), unit(model.get_image_features(**pixels))


def test_vectors_are_those_of_the_library(checkpoint: Path) -> None:
    encoder = made(ClipEncoder(ClipSettings(checkpoint=checkpoint)))
    images = pictures()
    words, seen = theirs(checkpoint, list(CAPTIONS), list(images))
    np.testing.assert_allclose(encoder.encode(CAPTIONS), words, atol=2e-6)
    np.testing.assert_allclose(encoder.encode(images), seen, atol=2e-6)
    assert np.abs(words[0] - words[1]).max() > 1e-3, "they tell texts apart"


def test_a_video_is_the_mean_of_its_frames(checkpoint: Path) -> None:
    films = pictures("video", 2)
    for frames, drawn in ((3, [0, 2, 5]), (1, [0]), (6, range(6))):
        found = made(ClipEncoder(ClipSettings(checkpoint=checkpoint, frames=frames))).encode(films)
        for film, vector in zip(films, found, strict=True):
            each = theirs(checkpoint, ["a"], [film[frame] for frame in drawn])[1]
            np.testing.assert_allclose(vector, each.mean(0) / np.linalg.norm(each.mean(0)), atol=2e-6)


def test_one_by_one_as_in_a_batch_and_after_loading(checkpoint: Path, tmp_path: Path) -> None:
    encoder = made(ClipEncoder(ClipSettings(checkpoint=checkpoint)))
    for contents in (CAPTIONS, pictures(), pictures("video", 3)):
        same_one_by_one(encoder, contents)
    same_after_loading(lambda: ClipEncoder(ClipSettings(checkpoint=checkpoint)), CAPTIONS, tmp_path)


def test_many_texts_come_back_in_their_order(checkpoint: Path) -> None:
    many = texts([f"{'a ' * (row % 9)}red" for row in range(600)])
    found = made(ClipEncoder(ClipSettings(checkpoint=checkpoint))).encode(many)
    np.testing.assert_allclose(found[:9], found[585:594], atol=2e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-4


def test_states_before_pooling(checkpoint: Path) -> None:
    encoder = made(ClipEncoder(ClipSettings(checkpoint=checkpoint, frames=2)))
    states, there = encoder.tokens(CAPTIONS)
    assert states.shape[:2] == there.shape
    assert states.shape[2] == 16
    assert there.any(axis=1).all()
    seen, _ = encoder.tokens(pictures())
    films, there = encoder.tokens(pictures("video", 3))
    assert films.shape == (3, 2 * seen.shape[1], 16)
    assert there.all()
    film = next(iter(pictures("video", 3)))
    frame = pictures()[:1]
    alone, _ = encoder.tokens(type(frame)("image", lambda _: film[0], np.arange(1), "a frame"))
    np.testing.assert_allclose(films[0, : seen.shape[1]], alone[0], atol=2e-6)


def test_its_text_side_is_lent_for_training(checkpoint: Path) -> None:
    """What CART starts from: a copy with states of every layer, which hears what the encoder hears."""
    encoder = made(ClipEncoder(ClipSettings(checkpoint=checkpoint)))
    expected = encoder.encode(CAPTIONS)
    tower = encoder.text_tower()
    assert (tower.layers, tower.width, tower.dim) == (2, 16, encoder.dim)
    tokens = tower.tokens(list(CAPTIONS))
    assert (tokens[:, 0] != 0).all()
    states, vectors = tower.eval().layered(tokens)
    assert [state.shape for state in states] == [(*tokens.shape, 16)] * 2
    np.testing.assert_allclose(vectors.detach().numpy(), expected, atol=2e-6)
    encoded = Tower(tower)(tokens)
    encoded.vector.sum().backward()
    assert sum(p.grad is not None for p in tower.parameters()) > 10, "it can be trained"
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(encoder.encode(CAPTIONS), expected, "and the encoder keeps its own weights")


def test_half_precision_is_near_and_is_no_accident(checkpoint: Path) -> None:
    whole, half = (
        made(ClipEncoder(ClipSettings(checkpoint=checkpoint))),
        ClipEncoder(ClipSettings(checkpoint=checkpoint, precision="bf16")),
    )
    if not compute.knows("bf16"):
        with pytest.raises(Unavailable, match="precision: bf16"):
            made(half)
        return
    made(half)
    for contents in (CAPTIONS, pictures()):
        apart = np.abs(whole.encode(contents) - half.encode(contents)).max()
        assert 1e-6 < apart < 0.05


# -- what can't be had ------------------------------------------------------------------------------------------------


def copied(checkpoint: Path, folder: Path) -> Path:
    for each in checkpoint.iterdir():
        (folder / each.name).write_bytes(each.read_bytes())
    return folder


def told(checkpoint: Path, words: str) -> None:
    with pytest.raises(BadInput if checkpoint.exists() else Unavailable, match=words):
        made(ClipEncoder(ClipSettings(checkpoint=checkpoint)))


def test_what_is_not_here_says_how_to_get_it() -> None:
    told(Path("nobody/nothing@v1"), "weights get nobody/nothing")


def test_a_checkpoint_cut_short(checkpoint: Path, tmp_path: Path) -> None:
    weights = copied(checkpoint, tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    told(tmp_path, "can't load it")


def test_weights_of_another_shape(checkpoint: Path, tmp_path: Path) -> None:
    path = copied(checkpoint, tmp_path) / "model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("token_embedding.weight"))
    save_file({**weights, name: torch.zeros(50, 8)}, path, {"format": "pt"})
    told(tmp_path, r"token_embedding.weight has the shape \(50, 8\) in its weights, and \(40, 16\)")


@pytest.mark.parametrize("part", ["final_layer_norm", "vision_model"])
def test_chance_stands_in_for_no_weight(checkpoint: Path, tmp_path: Path, part: str) -> None:
    path = copied(checkpoint, tmp_path) / "model.safetensors"
    save_file({name: each for name, each in load_file(path).items() if part not in name}, path, {"format": "pt"})
    told(tmp_path, "it lacks")


def test_weights_of_a_pickle_are_read_and_nothing_else_of_it(checkpoint: Path, tmp_path: Path) -> None:
    """CLAP and BLIP have no others on the hub."""
    weights = copied(checkpoint, tmp_path) / "model.safetensors"
    torch.save(load_file(weights), tmp_path / "pytorch_model.bin")
    weights.unlink()
    found, whole = (made(ClipEncoder(ClipSettings(checkpoint=each))) for each in (tmp_path, checkpoint))
    np.testing.assert_array_equal(found.encode(CAPTIONS), whole.encode(CAPTIONS))
    harm.poisoned(tmp_path / "pytorch_model.bin", tmp_path / "trace")
    with pytest.raises(BadInput, match=r"never run: name a \.safetensors file"):
        made(ClipEncoder(ClipSettings(checkpoint=tmp_path)))
    assert not (tmp_path / "trace").exists()


def test_another_kind_of_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    told(tmp_path, "of kind bert")


def test_sound_is_refused(checkpoint: Path) -> None:
    with pytest.raises(Unavailable, match="no audio"):
        made(ClipEncoder(ClipSettings(checkpoint=checkpoint))).encode(tiny_checkpoints.sounds())

"""The `clap` encoder gives what transformers' own forward gives on the same inputs: on tiny random checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_checkpoints
import torch
from encoders_alike import made, same_after_loading, same_one_by_one
from safetensors.torch import load_file, save_file
from scipy.signal import resample_poly
from tiny_checkpoints import CAPTIONS, RATE, sounds
from transformers import AutoFeatureExtractor, AutoTokenizer, ClapModel

from baselines.encoders.clap import ClapEncoder
from baselines.encoders.settings import ClapSettings
from harness.contract.dataset import Contents, Unavailable, Waveform
from harness.contract.problems import BadInput

SHORT = sounds((0.3, 1.0, 0.8))


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "fusion"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.clap(tmp_path_factory.mktemp("clap"), fusion=request.param)


@torch.inference_mode()
def theirs(checkpoint: Path, heard: list[np.ndarray]) -> np.ndarray:
    model, hear = ClapModel.from_pretrained(checkpoint).eval(), AutoFeatureExtractor.from_pretrained(checkpoint)
    inputs = hear(heard, sampling_rate=RATE, return_tensors="pt")
    longer = torch.tensor(
        [[len(each) > RATE + hear.hop_length] for each in heard]
    )  # theirs is one of a batch by chance
    found = model.get_audio_features(input_features=inputs["input_features"].float(), is_longer=longer)
    return getattr(found, "pooler_output", found).numpy()


def test_texts_are_heard_as_by_the_library(checkpoint: Path) -> None:
    model, tokenizer = ClapModel.from_pretrained(checkpoint).eval(), AutoTokenizer.from_pretrained(checkpoint)
    with torch.inference_mode():
        found = model.get_text_features(**tokenizer(list(CAPTIONS), padding=True, return_tensors="pt"))
    np.testing.assert_allclose(
        made(ClapEncoder(ClapSettings(checkpoint=checkpoint))).encode(CAPTIONS), found.pooler_output, atol=2e-6
    )


def test_sounds_are_heard_as_by_the_library(checkpoint: Path) -> None:
    found = made(ClapEncoder(ClapSettings(checkpoint=checkpoint))).encode(SHORT)
    np.testing.assert_allclose(found, theirs(checkpoint, [sound.samples for sound in SHORT]), atol=2e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-4


def test_a_long_sound_is_cut_to_its_middle_or_fused_and_never_by_chance(checkpoint: Path) -> None:
    long = sounds((2.5,))
    encoder = made(ClapEncoder(ClapSettings(checkpoint=checkpoint)))
    found = encoder.encode(long)
    np.random.seed(77)
    state = np.random.get_state()[1].copy()
    assert np.array_equal(encoder.encode(long), found)
    assert np.array_equal(np.random.get_state()[1], state), "nobody else's chance is disturbed"
    if ClapModel.from_pretrained(checkpoint).config.audio_config.enable_fusion:
        np.random.seed(0)
        expected = theirs(checkpoint, [long[0].samples])
    else:
        expected = theirs(checkpoint, [long[0].samples[int(0.75 * RATE) : int(1.75 * RATE)]])
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_other_rates_are_resampled(checkpoint: Path) -> None:
    slow = resample_poly(SHORT[1].samples, 1, 2).astype(np.float32)
    odd = Contents("audio", [Waveform(slow, RATE // 2)].__getitem__, np.arange(1), "slow")
    expected = theirs(checkpoint, [resample_poly(slow, 2, 1).astype(np.float32)])
    np.testing.assert_allclose(made(ClapEncoder(ClapSettings(checkpoint=checkpoint))).encode(odd), expected, atol=2e-6)


def test_one_by_one_as_in_a_batch_and_after_loading(checkpoint: Path, tmp_path: Path) -> None:
    encoder = made(ClapEncoder(ClapSettings(checkpoint=checkpoint)))
    for contents in (CAPTIONS, sounds()):
        same_one_by_one(encoder, contents)
    same_after_loading(lambda: ClapEncoder(ClapSettings(checkpoint=checkpoint)), CAPTIONS, tmp_path)
    silence = [Waveform(np.empty(0, np.float32), 8000), Waveform(np.zeros(99, np.float32), 8000)]
    assert np.isfinite(encoder.encode(Contents("audio", silence.__getitem__, np.arange(2), "silence"))).all()


def test_states_and_a_text_side_to_train(checkpoint: Path) -> None:
    encoder = made(ClapEncoder(ClapSettings(checkpoint=checkpoint)))
    states, there = encoder.tokens(CAPTIONS)
    assert states.shape == (*there.shape, 16)
    assert there.sum(1).tolist() == [2 + len(text.split()) for text in CAPTIONS]
    heard, there = encoder.tokens(sounds())
    assert heard.shape[0] == 4
    assert heard.shape[2] == 16
    assert there.all()
    tower = encoder.text_tower().eval()
    layers, vectors = tower.layered(tower.tokens(list(CAPTIONS)))
    assert len(layers) == tower.layers == 2
    np.testing.assert_allclose(layers[-1].detach().numpy()[0], states[0][: len(layers[-1][0])], atol=2e-6)
    np.testing.assert_allclose(vectors.detach().numpy(), encoder.encode(CAPTIONS), atol=2e-6)


def test_chance_stands_in_for_no_weight_not_even_the_pooler(checkpoint: Path, tmp_path: Path) -> None:
    for each in checkpoint.iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    kept = {name: each for name, each in weights.items() if "pooler" not in name}
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadInput, match=r"it lacks 2 weights \(text_model.pooler"):
        made(ClapEncoder(ClapSettings(checkpoint=tmp_path)))
    with pytest.raises(Unavailable, match="weights get nobody/nothing"):
        made(ClapEncoder(ClapSettings(checkpoint=Path("nobody/nothing"))))

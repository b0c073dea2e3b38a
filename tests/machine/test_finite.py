"""Nothing that is no number is learnt, indexed or stored, by whichever kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from kit import Kit

from baselines.captioners.settings import SmallCaptionerSettings
from baselines.captioners.small import SmallCaptioner
from baselines.dual_tuned import DualTuned
from baselines.encoders.settings import SmallEncoderSettings
from baselines.encoders.small import SmallEncoder
from baselines.indexes import FaissIndex
from baselines.settings import DualTunedSettings
from baselines.single_tower.match import Match
from baselines.single_tower.settings import MatchSettings
from cart.identifiers import fine
from cart.retriever import CartRetriever
from cart.settings import CartSettings
from harness.machine import finite
from harness.nn import learning

TRAINED: dict[str, Callable[[Kit], Any]] = {
    "the small encoder": lambda kit: SmallEncoder(
        SmallEncoderSettings(steps=5, batch=16, dim=16, lr=1e-3, trained_on="tiny", patience=0), seed=0
    ),
    "the captioner": lambda kit: SmallCaptioner(
        SmallCaptionerSettings(steps=5, items=8, texts=2, samples=4, temperature=1.0, lr=1e-3, encoder="tiny"),
        encoder=kit.encoder,
        seed=0,
    ),
    "match": lambda kit: Match(
        MatchSettings(steps=5, items=8, negatives=2, layers=1, lr=1e-3), encoder=kit.encoder, seed=0
    ),
    "dual_tuned": lambda kit: DualTuned(
        DualTunedSettings(steps=5, batch=16, lr=1e-3), encoder=kit.encoder, captioner=kit.captioner, seed=0
    ),
    "CART": lambda kit: CartRetriever(
        CartSettings(identifiers="random", steps=5, batch=16, width=48, layers=1, lr=1e-3),
        encoder=kit.encoder,
        captioner=kit.captioner,
        seed=0,
    ),
}


@pytest.mark.parametrize("what", TRAINED)
def test_training_that_diverges_stops_and_says_at_which_step(
    what: str, tiny: Callable[[str], Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = tiny("audio")
    assert kit.captioner
    monkeypatch.setattr(learning, "schedule", lambda *_: math.inf)  # diverges in any arithmetic
    learner = TRAINED[what](kit)
    with pytest.raises(FloatingPointError, match=f"training {what}: the loss is (nan|inf) at step 2 of 5, .* lower"):
        learner.fit(*kit.training("text-audio"))
        learner.index(kit.test("text-audio").candidates)


def test_codebooks_that_diverge_stop_as_well() -> None:
    points = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    with pytest.raises(FloatingPointError, match=r"training the RQ-VAE: the loss is (nan|inf) at step 2 of 300"):
        fine.fit(points, fine.Settings(codes=4, lr=math.inf), 0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", ["npy", "npz", "safetensors", "half", "long"])
def test_an_array_that_holds_what_is_no_number_is_named(kind: str, value: float, tmp_path: Path) -> None:
    sound, broken = np.ones((3, 4), np.float32), np.ones((3, 4), np.float32)
    broken[1, 2] = value
    if kind == "npy":
        np.save(tmp_path / "x.npy", broken)
    elif kind == "npz":
        np.savez(tmp_path / "x.npz", sound=sound, broken=broken, names=np.array(["a"]))
    elif kind == "safetensors":
        (tmp_path / "deep").mkdir()
        safetensors.numpy.save_file({"sound": sound, "broken": broken}, tmp_path / "deep" / "x.safetensors")
    elif kind == "half":
        tensors = {"broken": torch.from_numpy(broken).bfloat16(), "numbers": torch.arange(3)}
        safetensors.torch.save_file(tensors, tmp_path / "x.safetensors")
    else:
        long = np.zeros(finite.AT_ONCE + 5, np.float64)
        long[-1] = value
        np.savez(tmp_path / "x.npz", broken=long)
    with pytest.raises(FloatingPointError, match=r"^x\.\w+: (broken|the array) holds NaN or infinity$"):
        finite.check(tmp_path)


def test_what_is_sound_or_no_file_of_arrays_passes(tmp_path: Path) -> None:
    np.save(tmp_path / "sound.npy", np.array([[1e38, -1e38]], np.float32))
    np.save(tmp_path / "empty.npy", np.empty((0, 3), np.float32))
    np.save(tmp_path / "numbers.npy", np.arange(3))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    safetensors.numpy.save_file({"scale": np.float32(3)[None], "one": np.array(1.0)}, tmp_path / "a.safetensors")
    for name in ("torn.npy", "torn.npz", "torn.safetensors", "notes.json"):
        (tmp_path / name).write_bytes(b"NaN")
    finite.check(tmp_path)


def test_what_goes_into_an_index_of_faiss_is_looked_into() -> None:
    """Its file can't be, before it is stored."""
    vectors = np.eye(8, dtype=np.float32)
    index = FaissIndex("Flat", {})
    index.build(vectors)
    broken = vectors.copy()
    broken[3, 3] = np.nan
    for take in (index.build, index.add):
        with pytest.raises(ValueError, match=r"index 'Flat': NaN or infinity in 1 of 8 vectors, .* position 3"):
            take(broken)
    with pytest.raises(ValueError, match=r"8 of 8 vectors.* whatever makes them is broken"):
        index.build(np.full_like(vectors, np.inf))

"""The `laion_clap` encoder gives what LAION's package gives on the same inputs. It needs an environment of its own.

`make test-clap` runs it: the package wants a numpy before 2. As soon as it is imported it also asks the hub for
roberta-base and two tokenizers: they come from a cache made here, the text model one layer deep.
"""

# ruff: noqa: E402  the cache must be there before transformers is imported

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from baselines.encoders.settings import LaionClapSettings

if importlib.util.find_spec("laion_clap") is None:
    pytest.skip("laion-clap is an extra of its own: make test-clap", allow_module_level=True)
HUB = Path(tempfile.mkdtemp(prefix="hub-"))
os.environ["HF_HUB_CACHE"] = str(HUB)  # read when transformers is imported: here, for the first time

import numpy as np
import tiny_checkpoints
import tiny_hub
import torch
from encoders_alike import made, same_after_loading, same_one_by_one
from tiny_checkpoints import CAPTIONS

from baselines.encoders.laion_clap import LaionClapEncoder
from harness.contract.dataset import Contents, Unavailable, Waveform
from harness.contract.problems import BadInput

RATE = 48_000

tiny_hub.put(HUB, tiny_hub.LAION)
laion_clap = pytest.importorskip("laion_clap")
from laion_clap.training import data

FUSION = pytest.param(
    True, id="fusion", marks=pytest.mark.skipif(data.torchaudio is None, reason="the package fuses by torchaudio alone")
)


@pytest.fixture(scope="module", params=[pytest.param(False, id="plain"), FUSION])
def theirs(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return laion_clap.CLAP_Module(enable_fusion=request.param, device="cpu", amodel="HTSAT-tiny")


@pytest.fixture(scope="module")
def checkpoint(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.laion_clap(tmp_path_factory.mktemp("laion") / "best.pt", theirs.model)


def sounds(*seconds: float) -> Contents:
    rng = np.random.default_rng(0)
    made = [Waveform((0.1 * rng.normal(size=int(RATE * each))).astype(np.float32), RATE) for each in seconds]
    return Contents("audio", made.__getitem__, np.arange(len(made)), "noise")


def encoder_of(checkpoint: Path, theirs: Any) -> LaionClapEncoder:
    return LaionClapEncoder(LaionClapSettings(checkpoint=checkpoint, fusion=theirs.enable_fusion))


def test_vectors_are_those_of_the_package(theirs: Any, checkpoint: Path) -> None:
    encoder, heard = made(encoder_of(checkpoint, theirs)), sounds(0.7, 10.0, 3.0)
    np.testing.assert_allclose(encoder.encode(CAPTIONS), theirs.get_text_embedding(list(CAPTIONS)), atol=1e-5)
    expected = theirs.get_audio_embedding_from_data([sound.samples for sound in heard])
    np.testing.assert_allclose(encoder.encode(heard), expected, atol=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 1e-4


def test_long_sounds_never_depend_on_chance(theirs: Any, checkpoint: Path) -> None:
    encoder, long = made(encoder_of(checkpoint, theirs)), sounds(14.0)
    np.random.seed(5)
    found = encoder.encode(long)
    assert np.array_equal(encoder.encode(long), found)
    np.random.seed(0)
    samples = long[0].samples if theirs.enable_fusion else long[0].samples[2 * RATE : 12 * RATE]
    np.testing.assert_allclose(found, theirs.get_audio_embedding_from_data([samples]), atol=1e-5)


def test_one_by_one_as_in_a_batch_and_after_loading(theirs: Any, checkpoint: Path, tmp_path: Path) -> None:
    encoder = made(encoder_of(checkpoint, theirs))
    for contents in (CAPTIONS, sounds(0.5, 2.0)):
        same_one_by_one(encoder, contents)
    same_after_loading(lambda: encoder_of(checkpoint, theirs), CAPTIONS, tmp_path)


def test_what_does_not_fit_is_told(theirs: Any, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="hf download lukewys/laion_clap"):
        made(LaionClapEncoder(LaionClapSettings(checkpoint=tmp_path / "nowhere.pt")))
    other = "made for another model|needs torchaudio"
    with pytest.raises((BadInput, Unavailable), match=other):
        made(LaionClapEncoder(LaionClapSettings(checkpoint=checkpoint, fusion=not theirs.enable_fusion)))
    (tmp_path / "cut.pt").write_bytes(checkpoint.read_bytes()[:10_000])
    with pytest.raises(BadInput, match="no weights can be read"):
        made(LaionClapEncoder(LaionClapSettings(checkpoint=tmp_path / "cut.pt")))

"""What encoding really costs: text towers of real architectures, random weights, in a dual tower over 5,000 candidates.

Rates don't depend on weights. The stages' shares are those that a run's records hold.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_checkpoints import tokenizer
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

from baselines.dual_tower import DualTower
from baselines.encoders.clap import ClapEncoder
from baselines.encoders.open_clip import OpenClipEncoder
from baselines.encoders.pretrained import PretrainedEncoder
from baselines.encoders.settings import ClapSettings, OpenClipSettings
from baselines.settings import DualTowerSettings
from harness.contract.dataset import Contents, Pairs, texts
from harness.machine import compute

CANDIDATES, QUERIES, ROUNDS = 5000, 128, 3
WORDS = ["a", "the", "dog", "man", "barks", "runs", "rain", "falls", "red", "blue", "car", "street", "while", "then"]


def queries() -> Contents:
    """Captions of 6 to 16 words, as those of COCO or AudioCaps."""
    rng = np.random.default_rng(0)
    return texts([" ".join(rng.choice(WORDS, rng.integers(6, 17))) for _ in range(QUERIES)])


def vit_b_32(folder: Path) -> PretrainedEncoder:
    open_clip = pytest.importorskip("open_clip", reason="it is an extra: make test-clip has it")
    torch.manual_seed(0)
    torch.save(open_clip.create_model("ViT-B-32", load_weights=False).state_dict(), folder / "random.pt")
    return OpenClipEncoder(OpenClipSettings(pretrained=folder / "random.pt", architecture="ViT-B-32"))


def clap_text(folder: Path) -> PretrainedEncoder:
    """The text tower in full, a RoBERTa of 12 layers; its sound tower, which no query asks, as the library has it."""
    torch.manual_seed(0)
    ClapModel(ClapConfig()).save_pretrained(folder)
    marks = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer(folder, marks, 512, ("<s>", "</s>"))
    ClapFeatureExtractor().save_pretrained(folder)
    return ClapEncoder(ClapSettings(checkpoint=folder))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("make", [vit_b_32, clap_text], ids=lambda make: make.__name__)
@pytest.mark.parametrize("index", ["exact", "HNSW32,Flat"])
def test_rates(make, index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encoder = make(tmp_path)
    encoder.fit(Pairs.empty("text", "text"), Pairs.empty("text", "text"))
    rng = np.random.default_rng(0)
    media = rng.normal(size=(CANDIDATES, encoder.dim)).astype(np.float32)
    encoder.stored = lambda *_: media / np.linalg.norm(media, axis=1, keepdims=True)
    retriever = DualTower(DualTowerSettings(index=index), encoder=encoder, seed=0)
    retriever.index(Contents("image", lambda _: None, np.arange(CANDIDATES), "made elsewhere"))
    asked = queries()
    retriever.search(asked[:8], 10)
    rates, shares = [], []
    for _ in range(ROUNDS):
        compute.take_stages()
        begun = time.perf_counter()
        found = retriever.search(asked, 10)
        seconds = time.perf_counter() - begun
        rates.append(QUERIES / seconds)
        stages = compute.take_stages()
        shares.append(stages["encode"] / seconds)
        assert 0.97 * seconds <= sum(stages.values()) <= seconds, "the stages are the whole search"
    with capsys.disabled():
        size = f"{encoder.parameters / 1e6:.0f}M parameters"
        parts = f"encode {100 * np.median(shares):.1f} %, search {100 - 100 * np.median(shares):.1f} %"
        print(f"\n{make.__name__} ({size}), {index}: {np.median(rates):.0f} queries/s, one thread; {parts}")  # noqa: T201
    assert (found.ids >= 0).all()
    assert np.median(shares) > 0.5, "with a real text tower the encoder is the larger part"

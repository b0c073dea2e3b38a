"""Pretrained single towers on tiny checkpoints of random weights: their scores are the library's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from judges import judge
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoTokenizer, BlipForImageTextRetrieval, ViltForImageAndTextRetrieval

from baselines.single_tower.pretrained import FRAMES, Pretrained
from baselines.single_tower.settings import PretrainedSettings
from harness.contract.dataset import Contents, Modality, Pairs, Unavailable, texts
from harness.contract.problems import BadInput

NOTHING = Pairs.empty("text", "image")
ASKED = ["a red circle", "the blue square above a circle", "left"]
FORMS = [(20, 24), (16, 40), (31, 16)]  # ViLT makes patches of any form, so many of each


def media(modality: Modality, forms: list[tuple[int, ...]] = FORMS) -> Contents:
    rng = np.random.default_rng(0)
    made = [rng.integers(0, 256, (*form, 3), dtype=np.uint8) for form in forms]
    return Contents(modality, made.__getitem__, np.arange(len(made)), f"noise {modality}")


def tower(kind: str) -> Pretrained:
    made = Pretrained(PretrainedSettings(checkpoint=judge(kind)))
    made.fit(NOTHING, NOTHING)
    return made


@torch.inference_mode()
def own(kind: str, text: str, picture: np.ndarray) -> float:
    """What the library's forward pass gives for one pair."""
    folder = judge(kind)
    inputs = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    pixels = AutoImageProcessor.from_pretrained(folder)(images=Image.fromarray(picture), return_tensors="pt")
    if kind == "blip":
        model = BlipForImageTextRetrieval.from_pretrained(folder).eval()
        odds = model(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, **pixels).itm_score.softmax(-1)
        return float(odds[0, 1].logit())
    return float(ViltForImageAndTextRetrieval.from_pretrained(folder).eval()(**inputs, **pixels).logits[0, 0])


@pytest.mark.parametrize("kind", ["blip", "vilt"])
def test_scores_are_those_of_the_library(kind: str) -> None:
    images = media("image")
    made = tower(kind)
    made.index(images)
    ranking = made.search(texts(ASKED), 3)
    found = np.take_along_axis(ranking.scores, ranking.ids.argsort(axis=1), axis=1)
    expected = np.array([[own(kind, text, picture) for picture in images] for text in ASKED])
    assert expected.std() > 1e-2, "the checkpoint tells pairs apart"
    assert np.allclose(found, expected, atol=1e-4)


def test_pictures_of_other_forms_may_be_added() -> None:
    images = media("image")
    whole, grown = tower("vilt"), tower("vilt")
    whole.index(images)
    grown.index(images[:1])
    grown.add(images[1:])
    first, second = (each.search(texts(ASKED), 3) for each in (whole, grown))
    assert np.array_equal(first.ids, second.ids) and np.allclose(first.scores, second.scores, atol=1e-5)
    assert len(set(whole.media["lengths"].tolist())) > 1


def test_the_frames_of_a_video_stand_after_one_another() -> None:
    film = np.zeros((21, 16, 16, 3), np.uint8) + np.arange(21, dtype=np.uint8)[:, None, None, None] * 10
    made = tower("blip")
    found = made.prepare(Contents("video", [film].__getitem__, np.arange(1), "a film"))["states"][0]
    shades = np.linspace(0, 20, FRAMES).round().astype(int)
    alone = made.prepare(Contents("image", list(film).__getitem__, shades, "its frames"))["states"]
    assert np.allclose(found, alone.reshape(-1, found.shape[-1]), atol=1e-6)


def test_longer_texts_than_it_can_read_are_cut() -> None:
    made = tower("blip")
    made.index(media("image"))
    assert np.isfinite(made.search(texts(["red circle " * 40]), 3).scores).all()


# -- what can't be had ------------------------------------------------------------------------------------------------


def test_audio_is_refused() -> None:
    with pytest.raises(Unavailable, match="judges images and frames of video, no audio"):
        tower("blip").index(Contents("audio", str, np.arange(1), "some sounds"))


def test_a_checkpoint_that_is_not_here_says_how_to_get_it() -> None:
    with pytest.raises(Unavailable, match="weights get nobody/nothing"):
        Pretrained(PretrainedSettings(checkpoint=Path("nobody/nothing"))).fit(NOTHING, NOTHING)


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(BadInput, match="of kind clip, which judges no pair"):
        Pretrained(PretrainedSettings(checkpoint=tmp_path)).fit(NOTHING, NOTHING)


@pytest.mark.parametrize(("kind", "lacking"), [("blip", "itm_head"), ("vilt", "pooler"), ("vilt", "rank_output")])
def test_chance_stands_in_for_no_weight(kind: str, lacking: str, tmp_path: Path) -> None:
    for each in judge(kind).iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    weights = tmp_path / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(weights).items() if lacking not in name}
    save_file(kept, weights, {"format": "pt"})
    with pytest.raises(BadInput, match="it lacks"):
        Pretrained(PretrainedSettings(checkpoint=tmp_path)).fit(NOTHING, NOTHING)

"""The pretrained captioner on a tiny checkpoint of random weights: it talks nonsense, but in the right way."""

from __future__ import annotations

from pathlib import Path

import harm
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from transformers import (
    BertTokenizerFast,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipTextConfig,
    BlipVisionConfig,
)

from baselines.captioners.pretrained import FRAMES, PretrainedCaptioner
from baselines.captioners.settings import PretrainedCaptionerSettings
from harness.contract.dataset import Contents, Modality, Pairs, Unavailable
from harness.contract.problems import BadInput

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "blue", "circle", "square", "above", "left"]


def media(modality: Modality, shape: tuple[int, ...], count: int = 5) -> Contents:
    rng = np.random.default_rng(0)
    made = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    return Contents(modality, made.__getitem__, np.arange(count), f"noise {modality}")


IMAGES = media("image", (20, 24, 3))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blip")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    marks = {"bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    text = BlipTextConfig(
        vocab_size=len(WORDS), encoder_hidden_size=16, projection_dim=16, max_position_embeddings=32, **marks, **size
    )
    vision = BlipVisionConfig(image_size=16, patch_size=8, projection_dim=16, **size)
    both = BlipConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16)
    BlipForConditionalGeneration(both).save_pretrained(folder)
    BlipImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def made(checkpoint: Path, samples: int = 3, max_words: int = 6) -> PretrainedCaptioner:
    captioner = PretrainedCaptioner(
        PretrainedCaptionerSettings(checkpoint=checkpoint, samples=samples, temperature=1.0, max_words=max_words),
        seed=0,
    )
    captioner.fit(Pairs.empty("text", "text"), Pairs.empty("text", "text"))
    return captioner


def test_describes_images_in_its_own_words(checkpoint: Path) -> None:
    captions = made(checkpoint).describe(IMAGES)
    assert [len(each) for each in captions] == [3] * 5
    words = [word for each in captions for text in each for word in text.split()]
    assert words and set(words) <= set(WORDS[5:])
    assert max(len(text.split()) for each in captions for text in each) <= 6
    assert captions == made(checkpoint).describe(IMAGES)
    assert captions != PretrainedCaptioner(
        PretrainedCaptionerSettings(checkpoint=checkpoint, samples=3, temperature=1.0, max_words=6), seed=1
    ).describe(IMAGES)
    assert made(checkpoint).describe(IMAGES[:0]) == []


@pytest.mark.parametrize(("samples", "seen"), [(1, [0]), (3, [0, 10, 20]), (20, [0, 3, 6, 9, 11, 14, 17, 20])])
def test_captions_of_a_video_are_spread_over_its_frames(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, samples: int, seen: list[int]
) -> None:
    film = np.zeros((2, 21, 16, 16, 3), np.uint8) + np.arange(21, dtype=np.uint8)[:, None, None, None]
    asked: list[int] = []
    captioner = made(checkpoint, samples)

    def told(pictures: list, each: int) -> list[str]:
        shades = [int(np.asarray(picture)[0, 0, 0]) for picture in pictures]
        asked.extend(shades)
        return [f"{shade} {number}" for shade in shades for number in range(each)]

    monkeypatch.setattr(captioner, "_sample", told)
    captions = captioner.describe(Contents("video", film.__getitem__, np.arange(2), "films"))
    assert asked == seen * 2
    assert [len(each) for each in captions] == [samples] * 2
    assert len(set(captions[0])) == samples
    assert {text.split()[0] for text in captions[0][:FRAMES]} == {str(shade) for shade in seen}


def test_a_video_is_described(checkpoint: Path) -> None:
    captions = made(checkpoint, samples=5).describe(media("video", (3, 20, 24, 3), count=2))
    assert [len(each) for each in captions] == [5, 5]


def test_audio_is_refused(checkpoint: Path) -> None:
    sounds = Contents("audio", str, np.arange(1), "some sounds")
    with pytest.raises(Unavailable, match="describes images and frames of video, no audio"):
        made(checkpoint).describe(sounds)


def test_saved_and_loaded_it_says_the_same(checkpoint: Path, tmp_path: Path) -> None:
    captioner = made(checkpoint)
    captioner.save(tmp_path)
    again = PretrainedCaptioner(
        PretrainedCaptionerSettings(checkpoint=checkpoint, samples=3, temperature=1.0, max_words=6), seed=0
    )
    again.load(tmp_path)
    assert again.parameters == captioner.parameters > 1000
    assert again.describe(IMAGES) == captioner.describe(IMAGES)
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 1000  # the weights stay where they are


# -- what can't be had ------------------------------------------------------------------------------------------------


def test_a_checkpoint_that_is_not_here_says_how_to_get_it() -> None:
    with pytest.raises(Unavailable, match="weights get nobody/nothing"):
        made(Path("nobody/nothing@v1"))


def copied(checkpoint: Path, folder: Path) -> Path:
    for each in checkpoint.iterdir():
        (folder / each.name).write_bytes(each.read_bytes())
    return folder


def test_a_pickle_with_code_in_it_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    (copied(checkpoint, tmp_path) / "model.safetensors").unlink()
    harm.poisoned(tmp_path / "pytorch_model.bin", tmp_path / "trace")
    with pytest.raises(BadInput, match="never run"):
        made(tmp_path)
    assert not (tmp_path / "trace").exists()


def test_weights_cut_short_are_told(checkpoint: Path, tmp_path: Path) -> None:
    weights = copied(checkpoint, tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(BadInput, match="can't load it"):
        made(tmp_path)


def test_chance_stands_in_for_no_weight(checkpoint: Path, tmp_path: Path) -> None:
    weights = copied(checkpoint, tmp_path) / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(weights).items() if "crossattention" not in name}
    save_file(kept, weights, {"format": "pt"})
    with pytest.raises(BadInput, match="it lacks"):
        made(tmp_path)


def test_a_model_that_needs_a_prompt_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(BadInput, match="of kind llava"):
        made(tmp_path)

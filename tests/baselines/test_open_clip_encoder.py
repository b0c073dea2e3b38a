"""The `open_clip` encoder gives what open_clip's own forward gives on the same inputs; tiny random weights."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_checkpoints
import torch
from encoders_alike import NOTHING, made, same_after_loading, same_one_by_one
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_checkpoints import pictures

from baselines.encoders.open_clip import OpenClipEncoder
from baselines.encoders.settings import OpenClipSettings
from harness.contract.dataset import Unavailable, texts
from harness.contract.problems import BadInput
from harness.machine import compute
from harness.nn.batching import trim

open_clip = pytest.importorskip("open_clip", reason="it is an extra: make test-clip has it")

# "!" is the library's number 0, which fills rows too
TEXTS = texts(
    ["a red circle", "rain!", "", "!", "a ! b", "a dog barks and then the rain falls on a red car", "x " * 90]
)
KINDS: dict[str, dict[str, Any]] = {
    "causal": {},
    "eos": {"pool_type": "eos", "eos_id": 49407},
    "both ways": {"no_causal_mask": True, "pool_type": "last"},  # as SigLIP's
}


@pytest.fixture(scope="module", params=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.open_clip(tmp_path_factory.mktemp("open_clip"), **KINDS[request.param])


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    (tmp_path / "plain").mkdir()
    return tiny_checkpoints.open_clip(tmp_path / "plain")


@torch.inference_mode()
def theirs(folder: Path, strings: list[str], images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    model, _, see = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(strings)
    pixels = torch.stack([see(Image.fromarray(image)) for image in images])
    seen, text, *_ = model.eval()(pixels, tokens)
    return text.numpy(), seen.numpy()


def test_vectors_are_those_of_the_library(checkpoint: Path) -> None:
    encoder, images = made(OpenClipEncoder(OpenClipSettings(pretrained=checkpoint))), pictures()
    text, seen = theirs(checkpoint, list(TEXTS), list(images))
    np.testing.assert_allclose(encoder.encode(TEXTS), text, atol=2e-6)
    np.testing.assert_allclose(encoder.encode(images), seen, atol=2e-6)
    assert np.abs(text[0] - text[1]).max() > 1e-3


def test_one_by_one_as_in_a_batch_and_after_loading(checkpoint: Path, tmp_path: Path) -> None:
    encoder = made(OpenClipEncoder(OpenClipSettings(pretrained=checkpoint, frames=3)))
    for contents in (TEXTS, pictures(), pictures("video", 3)):
        same_one_by_one(encoder, contents)
    same_after_loading(lambda: OpenClipEncoder(OpenClipSettings(pretrained=checkpoint)), TEXTS, tmp_path)


def test_short_texts_take_short_rows(plain: Path) -> None:
    """Their vector is the last token's, which attends to nothing after it."""
    encoder = made(OpenClipEncoder(OpenClipSettings(pretrained=plain)))
    assert trim(encoder.towers.tokens(list(TEXTS[:1]))).shape[1] == 5


def test_a_video_is_the_mean_of_its_frames(plain: Path) -> None:
    film = pictures("video", 1)
    each = theirs(plain, ["a"], [film[0][frame] for frame in (0, 2, 5)])[1].mean(0)
    found = made(OpenClipEncoder(OpenClipSettings(pretrained=plain, frames=3))).encode(film)[0]
    np.testing.assert_allclose(found, each / np.linalg.norm(each), atol=2e-6)


@pytest.mark.parametrize(
    ("architecture", "tag"),
    [
        ("ViT-B-32", "laion2b_s34b_b79k"),
        ("ViT-L-14", "laion2b_s32b_b82k"),
        ("ViT-B-16-SigLIP", "webli"),
        ("ViT-H-14-CLIPA", "datacomp1b"),
        ("ViT-H-14-quickgelu", "dfn5b"),
    ],
)
def test_a_tag_says_how_pictures_are_prepared(
    plain: Path, architecture: str, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the library knows of real tags, with weights that are tiny."""
    from open_clip import factory, pretrained

    weights, config = plain / "open_clip_model.safetensors", json.loads((plain / "open_clip_config.json").read_text())
    known = pretrained.get_pretrained_cfg(architecture, tag)
    monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny", config["model_cfg"])
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny", {tag: known})
    for module in (factory, pretrained):
        monkeypatch.setattr(module, "download_pretrained", lambda known, cache_dir=None: str(weights))
    quick = bool(known.get("quick_gelu"))
    model, _, see = open_clip.create_model_and_transforms("tiny", pretrained=tag, force_quick_gelu=quick)
    with torch.inference_mode():
        pixels = torch.stack([see(Image.fromarray(image)) for image in pictures()])
        seen = model.eval().encode_image(pixels, normalize=True)
    encoder = made(OpenClipEncoder(OpenClipSettings(pretrained=Path(tag), architecture="tiny")))
    np.testing.assert_allclose(encoder.encode(pictures()), seen, atol=2e-6)


@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
def test_a_file_of_weights_with_its_architecture(plain: Path, tmp_path: Path, ending: str) -> None:
    """As `training` leaves it: inside `state_dict`, every name behind `module.`, numbers of numpy beside it."""
    model, _, see = open_clip.create_model_and_transforms("RN50", pretrained=None)
    path = tmp_path / f"weights{ending}"
    if ending == ".pt":
        state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
        torch.save({"epoch": np.float64(3), "loss": np.float32(0.5), "state_dict": state}, path)
    else:
        save_file(model.state_dict(), path)
    encoder = made(OpenClipEncoder(OpenClipSettings(pretrained=path, architecture="RN50")))
    with torch.inference_mode():
        seen = model.eval().encode_image(see(Image.fromarray(pictures()[0]))[None], normalize=True)
        text = model.encode_text(open_clip.get_tokenizer("RN50")(list(TEXTS)), normalize=True)
    np.testing.assert_allclose(encoder.encode(pictures()[:1]), seen, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(TEXTS), text, atol=1e-5)


def test_half_precision_is_near(plain: Path) -> None:
    if not compute.knows("bf16"):
        pytest.skip("this processor has none")
    whole, half = (
        made(OpenClipEncoder(OpenClipSettings(pretrained=plain))),
        made(OpenClipEncoder(OpenClipSettings(pretrained=plain, precision="bf16"))),
    )
    for contents in (TEXTS, pictures()):
        assert 1e-6 < np.abs(whole.encode(contents) - half.encode(contents)).max() < 0.05


# -- what can't be had ------------------------------------------------------------------------------------------------


def told(words: str, pretrained: Path | str, architecture: str | None = None) -> None:
    with pytest.raises((BadInput, Unavailable), match=words):
        made(OpenClipEncoder(OpenClipSettings(pretrained=Path(pretrained), architecture=architecture)))


def test_tags_and_architectures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    told("hf download laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "laion2b_s34b_b79k", "ViT-B-32")
    told("no tag of ViT-B-32; its tags: openai,", "laion9b", "ViT-B-32")
    told("knows no architecture 'ViT-B-33'", "openai", "ViT-B-33")
    told("knows no architecture None", "openai")
    told("hf download nobody/nothing", "hf-hub:nobody/nothing")
    told("lacks open_clip_config.json", tmp_path)


def test_a_checkpoint_cut_short(plain: Path) -> None:
    weights = plain / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:9000])
    told("no weights can be read", plain)


def test_weights_of_another_shape(plain: Path) -> None:
    config = json.loads((plain / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["width"] = 32
    (plain / "open_clip_config.json").write_text(json.dumps(config))
    told(r"made for another model: \d+ weights have another shape, the first of them ln_final.bias: \(16,\)", plain)


def test_weights_that_are_missing_or_too_many(plain: Path) -> None:
    path = plain / "open_clip_model.safetensors"
    weights = load_file(path)
    save_file({name: each for name, each in weights.items() if name != "ln_final.bias"}, path)
    told("1 weights are missing, the first of them ln_final.bias", plain)
    save_file({**weights, "visual.extra": torch.zeros(2)}, path)
    told("1 weights are unknown, the first of them visual.extra", plain)


class Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path(self.place),))

    def __init__(self, place: Path) -> None:
        self.place = str(place)


@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_a_pickle_that_would_run_code_is_not_run(plain: Path, tmp_path: Path, kind: str) -> None:
    (plain / "open_clip_model.safetensors").unlink()
    bomb, path = {"state_dict": {"ln_final.bias": Bomb(tmp_path / "burst")}}, plain / "weights.pt"
    if kind == "torch":
        torch.save(bomb, path)
    else:
        path.write_bytes(pickle.dumps(bomb))
    told("a pickle that holds more than weights, which is never run", plain)
    assert not (tmp_path / "burst").exists()
    pickle.loads(pickle.dumps(bomb))
    assert (tmp_path / "burst").exists(), "it would have burst"


def test_a_file_without_tensors(plain: Path, tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    told("holds no tensors by name, but list", tmp_path / "list.pt", "ViT-B-32")


def test_nothing_is_loaded_before_it_is_asked_for(tmp_path: Path) -> None:
    encoder = OpenClipEncoder(OpenClipSettings(pretrained=tmp_path / "nowhere", architecture="ViT-B-32"))
    assert encoder._towers is None
    with pytest.raises(Unavailable):
        encoder.fit(NOTHING, NOTHING)

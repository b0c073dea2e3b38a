"""The small encoder: what it sees, that it learns, that it stays what it was, and what it says when it can't."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kit import WORLDS, Kit, untrained
from links import single
from scipy.signal import resample_poly

from baselines.captioners.settings import SmallCaptionerSettings
from baselines.captioners.small import SmallCaptioner
from baselines.encoders import features, small
from baselines.encoders.settings import SmallEncoderSettings
from baselines.encoders.small import SmallEncoder
from harness.contract.dataset import Contents, Pairs, Waveform, texts
from harness.data.datasets.soundscapes import Soundscapes, SoundscapesSettings
from harness.machine import progress
from harness.nn.words import PAD, START, UNKNOWN, Vocabulary
from harness.store import embeddings
from harness.store.artifacts import Store

MEDIA = tuple(WORLDS)
SHAPES = {"audio": (48, 1), "image": (3,), "video": (24,)}  # channels, and height where it's fixed
every = pytest.mark.parametrize("medium", MEDIA)


def sounds(*things: Waveform) -> Contents:
    return Contents("audio", things.__getitem__, np.arange(len(things)), "some sounds")


@every
def test_features_are_planes_within_bounds(tiny: Callable[[str], Kit], medium):
    items = tiny(medium).test(f"text-{medium}").candidates[:3]
    shape = features.shape_of(items)
    planes = features.planes(items, shape)
    assert planes.shape == (3, shape.channels, shape.height, shape.width)
    assert planes.shape[1 : 1 + len(SHAPES[medium])] == SHAPES[medium]
    assert planes.isfinite().all()
    assert -2 <= planes.min() < planes.max() <= 2
    assert (planes[0] != planes[1]).any()


@every
def test_many_at_once_are_seen_as_one_by_one(tiny: Callable[[str], Kit], medium):
    items = tiny(medium).test(f"text-{medium}").candidates[: 2 * features.AT_ONCE + 1]
    shape = features.shape_of(items)
    alone = torch.cat([features.planes(items[row : row + 1], shape) for row in range(len(items))])
    assert torch.allclose(features.planes(items, shape).float(), alone.float(), rtol=1e-3, atol=1e-3)  # float16


def test_planes_are_made_once_for_all_and_never_for_a_query(tiny: Callable[[str], Kit], tmp_path):
    """Encoder and captioner train on the same sounds, and the gallery's are embedded, described and prepared."""
    kit, store = tiny("audio"), Store(tmp_path)
    train, validation = kit.training("text-audio")
    gallery = kit.test("text-audio").candidates
    asked: list[int] = []

    def counted(contents: Contents) -> Contents:
        def fetch(position: int) -> Any:
            asked.append(position)
            return contents.fetch(position)

        return replace(contents, fetch=fetch)

    def made() -> int:
        return len(list((tmp_path / "features").glob("*/planes.npy")))

    lessons = replace(train, candidates=counted(train.candidates)), validation
    settings = SmallEncoderSettings(steps=2, batch=16, dim=16, lr=1e-3, trained_on="tiny", patience=0)
    encoder = SmallEncoder(settings, seed=0, store=store)
    encoder.fit(*lessons)
    sampled = min(features.SAMPLE, len(train.candidates))  # for the shape
    assert (len(asked), made()) == (sampled + len(train.candidates), 2), "train's and validation's"
    captioner = SmallCaptioner(
        SmallCaptionerSettings(steps=1, items=8, texts=2, lr=1e-3, samples=2, temperature=1.0, encoder="tiny"),
        encoder=encoder,
        seed=0,
    )
    with store.ledger() as book:
        captioner.fit(*lessons)
    assert (len(asked), made()) == (sampled + len(train.candidates), 2)
    assert [entry["kind"] for entry in book.used.values()] == ["features"], "its cost is booked by all who use it"
    asked.clear()
    gallery = counted(gallery)
    found = embeddings.write(tmp_path, tmp_path / "scratch", encoder, gallery)
    captioner.prepare(gallery), captioner.describe(gallery)
    assert (found, len(asked), made()) == (0.0, len(gallery), 3)
    assert np.array_equal(np.load(tmp_path / embeddings.FILE), encoder.encode(gallery)), "asked now, seen now"
    assert (len(asked), made()) == (2 * len(gallery), 3)


THINGS: dict[str, Callable[[int], Any]] = {  # a thing of each medium, of some size
    "audio": lambda size: Waveform(np.full(1600 * size, 0.1, np.float32), 16_000),
    "image": lambda size: np.full((2 * size, 4 * size, 3), 90, np.uint8),
    "video": lambda size: np.full((size, 12, 16, 3), 90, np.uint8),
}


def of_sizes(medium: Any, *sizes: int) -> Contents:
    return Contents(medium, lambda place: THINGS[medium](sizes[place]), np.arange(len(sizes)), f"{medium} {sizes}")


@every
def test_things_that_are_all_alike_give_the_shape_of_any(tiny, medium):
    items = tiny(medium).training(f"text-{medium}")[0].candidates
    assert features.shape_of(items) == features.shape_of(items[:1]) == tiny(medium).encoder.shape


@every
def test_no_single_thing_settles_the_shape(medium):
    usual = features.shape_of(of_sizes(medium, *[8] * 39))
    for odd in (1, 20):
        for sizes in ([odd, *[8] * 39], [*[8] * 39, odd]):
            assert features.shape_of(of_sizes(medium, *sizes)) == usual
    assert features.shape_of(of_sizes(medium, *[8] * 36, *[20] * 4)) != usual, "one in ten is none of a few"


def test_pictures_are_seen_in_as_many_pixels_as_the_suite_says(tiny: Callable[[str], Kit], tmp_path: Path) -> None:
    kit = tiny("image")
    for pixels, side in ((16, 16), (32, 32), (96, 64)):
        settings = SmallEncoderSettings(steps=2, batch=16, dim=16, trained_on="tiny", pixels=pixels)
        encoder = SmallEncoder(settings, seed=0)
        encoder.fit(*kit.training("text-image"))
        assert (encoder.shape.height, encoder.shape.width) == (side, side)
        (tmp_path / str(pixels)).mkdir()
        encoder.save(tmp_path / str(pixels))
        loaded = SmallEncoder(settings, seed=0)
        loaded.load(tmp_path / str(pixels))
        assert loaded.shape == encoder.shape


def test_of_a_large_gallery_no_planes_are_kept(
    tiny: Callable[[str], Kit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are made a part at a time, and the vectors are the same."""
    kit, store = tiny("image"), Store(tmp_path)
    gallery = kit.test("text-image").candidates
    monkeypatch.setattr(kit.encoder, "store", store)
    monkeypatch.setattr(small, "MOST_KEPT", 0)
    streamed = kit.encoder.ahead(gallery)
    parts = np.concatenate([streamed(slice(0, 16)), streamed(slice(16, None))])
    assert not (tmp_path / "features").exists()
    monkeypatch.setattr(small, "MOST_KEPT", 1 << 30)
    kept = kit.encoder.ahead(gallery)(slice(None))
    assert (tmp_path / "features").exists()
    np.testing.assert_allclose(parts, kept, atol=2e-3)  # they are kept in float16


@every
def test_how_many_are_larger_than_the_shape_is_told(medium, tmp_path):
    said: list[str] = []

    class Listening(progress.Silent):
        def say(self, text: str) -> None:
            said.append(text)

    progress.use(Listening())
    items = of_sizes(medium, 2, 20, *[8] * 38)
    train = Pairs(texts([f"number {place}" for place in range(40)]), items, single(np.arange(40)))
    encoder = untrained(steps=2)
    encoder.fit(train, Pairs.empty("text", medium))
    shape = {"audio": "0.8 s", "image": "16 x 32 pixels", "video": "8 frames of 12 x 16 pixels"}[medium]
    assert said == [f"    training small: 1 of 40 items are larger than {shape}, and are cut to it"]
    encoder.save(tmp_path)
    loaded = untrained()
    loaded.load(tmp_path)
    assert {"shape": shape, "items": 40, "cut": 1}.items() <= loaded.details().items()


def test_training_ends_where_validation_no_longer_gains(monkeypatch):
    few = Pairs(texts(["one", "two"]), of_sizes("image", 2, 2), single(np.arange(2)))
    figures = [0.1, 0.5, 0.2, 0.2, 0.3, 0.9, 0.9, 0.9, 0.9, 0.9]
    monkeypatch.setattr(small, "LEAST_BETWEEN", 2)
    for patience, ended, best in ((3, 10, 0.5), (4, 20, 0.9), (0, 20, 0.9)):  # the fifth look is the first one half way
        told = iter(figures)
        monkeypatch.setattr(small, "reciprocal_ranks", lambda scores, right, told=told: torch.tensor([next(told)]))
        encoder = SmallEncoder(
            SmallEncoderSettings(steps=20, batch=4, dim=8, lr=1e-3, patience=patience, trained_on="tiny"), seed=0
        )
        encoder.fit(few, few)
        assert (encoder.details()["steps"], encoder.details()["validation MRR"]) == (ended, pytest.approx(best))


@every
@pytest.mark.parametrize("side", ["queries", "candidates"])
def test_one_by_one_is_as_in_a_batch(tiny, medium, side):
    kit = tiny(medium)
    contents = getattr(kit.test(f"text-{medium}"), side)[:12]
    together = kit.encoder.encode(contents)
    apart = np.concatenate([kit.encoder.encode(contents[place : place + 1]) for place in range(len(contents))])
    assert together.dtype == np.float32
    assert together.shape == (12, 16)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.allclose(together, apart, atol=1e-5)


@every
def test_states_belong_to_their_tokens(tiny, medium):
    kit = tiny(medium)
    pairs = kit.test(f"text-{medium}")
    states, stands = kit.encoder.tokens(pairs.queries[:5])
    alone, _ = kit.encoder.tokens(pairs.queries[1:2])
    assert states.shape[:2] == stands.shape
    assert np.allclose(states[1][stands[1]], alone[0], atol=1e-4), "whatever it is padded to"
    states, stands = kit.encoder.tokens(pairs.candidates[:4])
    assert len(states) == 4
    assert stands.all()


@every
def test_nothing_is_encoded_as_nothing(tiny, medium):
    kit = tiny(medium)
    pairs = kit.test(f"text-{medium}")
    for contents in (pairs.queries[:0], pairs.candidates[:0]):
        assert kit.encoder.encode(contents).shape == (0, 16)
        states, stands = kit.encoder.tokens(contents)
        whole, _ = kit.encoder.tokens(pairs.queries[:1] if contents.modality == "text" else pairs.candidates[:1])
        assert states.shape[0] == stands.shape[0] == 0
        assert states.shape[2] == whole.shape[2]


@every
def test_loaded_it_is_the_one_that_was_saved(tiny, medium, tmp_path):
    kit = tiny(medium)
    kit.encoder.save(tmp_path)
    loaded = untrained(seed=99)
    loaded.load(tmp_path)
    pairs = kit.test(f"text-{medium}")
    for contents in (pairs.queries[:10], pairs.candidates[:5]):
        assert np.array_equal(loaded.encode(contents), kit.encoder.encode(contents))
    assert loaded.parameters == kit.encoder.parameters > 1000
    assert loaded.modalities == ("text", medium)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}


def weights(encoder: SmallEncoder, tmp_path, name: str) -> bytes:
    (tmp_path / name).mkdir()
    encoder.save(tmp_path / name)
    return (tmp_path / name / "small.safetensors").read_bytes()


def test_the_same_seed_gives_the_same_weights_and_another_one_others(tiny, tmp_path):
    kit = tiny("image")
    found = []
    for number, seed in enumerate((0, 0, 1)):
        torch.manual_seed(number)  # whatever was drawn before must not matter
        encoder = untrained(seed=seed, steps=2)
        encoder.fit(*kit.training("text-image"))
        found.append(weights(encoder, tmp_path, str(number)))
    assert found[0] == found[1] != found[2]


def test_it_learns():
    """Thirty-two sounds by heart, in seconds: far above chance, which is 1 in 32."""
    train = Soundscapes(SoundscapesSettings(train=32, validation=1, test=1)).split("train").pairs("text-audio")
    encoder = SmallEncoder(
        SmallEncoderSettings(steps=40, batch=32, dim=32, lr=2e-3, trained_on="tiny", patience=0), seed=0
    )
    encoder.fit(train, Pairs.empty("text", "audio"))
    scores = encoder.encode(train.queries) @ encoder.encode(train.candidates).T
    assert np.mean(scores.argmax(axis=1) == train.links.targets) > 8 / 32


def test_sound_of_another_rate_is_resampled(tiny):
    kit = tiny("audio")
    sound = kit.test("text-audio").candidates[0]
    faster = Waveform(resample_poly(sound.samples, 3, 1).astype(np.float32), sound.rate * 3)
    other = kit.test("text-audio").candidates[1]
    plain, resampled = kit.encoder.encode(sounds(sound, faster))
    assert plain @ resampled > 0.99
    shape = features.shape_of(sounds(sound))
    assert features.shape_of(sounds(faster)) == shape
    gap = (features.audio([sound], shape) - features.audio([faster], shape)).abs().mean()
    assert gap < 0.2 * (features.audio([sound], shape) - features.audio([other], shape)).abs().mean()


@pytest.mark.parametrize("length", [0, 1, 100, 64_000, 200_000])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_sounds_of_any_length(tiny, length, rate):
    found = tiny("audio").encoder.encode(sounds(Waveform(np.full(length, 0.1, np.float32), rate)))
    assert np.isfinite(found).all()


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 40, 40), (8, 64, 64), (30, 20, 90)])
def test_videos_of_any_length_and_size(tiny, frames, height, width):
    kit = tiny("video")
    film = np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), np.uint8)
    found = kit.encoder.encode(Contents("video", lambda place: film, np.arange(1), "a film"))
    assert found.shape == (1, 16)
    assert np.isfinite(found).all()


def test_an_encoder_says_what_it_was_trained_on(tiny):
    with pytest.raises(ValueError, match=r"trained on text and audio; it can't encode image"):
        tiny("audio").encoder.encode(tiny("image").test("text-image").candidates[:2])


def test_nothing_to_learn_from():
    nothing = Pairs.empty("text", "image")
    with pytest.raises(ValueError, match="empty training split"):
        untrained().fit(nothing, nothing)


def test_words():
    vocabulary = Vocabulary.learn(["A dog barks", "a dog's bark", "the cat"], size=3, longest=4)
    assert vocabulary.words == ("a", "bark", "barks"), "the most frequent first, ties by the alphabet"
    assert vocabulary.tokens("A BARK, a zebra: a a a") == [START, 3, 4, 3]
    assert vocabulary.tokens("zebra") == [START, UNKNOWN]
    assert vocabulary.tokens("") == [START], "no text is empty"
    assert vocabulary.batch(["a", "a bark a"]).tolist() == [[START, 3, PAD, PAD], [START, 3, 4, 3]]
    assert len(vocabulary) == 6


def test_odd_texts_have_vectors(tiny):
    kit = tiny("audio")
    found = kit.encoder.encode(texts(["", "xylograph", "一 二", "a " * 10_000]))
    assert np.isfinite(found).all()
    assert not np.allclose(found[0], found[1])


@every
def test_a_narrow_one_is_small_and_is_kept(tiny: Callable[[str], Kit], medium, tmp_path):
    kit = tiny(medium)
    settings = SmallEncoderSettings(trained_on="tiny", steps=2, batch=8, dim=8, width=24)
    encoder = SmallEncoder(settings, seed=0)
    encoder.fit(*kit.training(f"text-{medium}"))
    assert encoder.parameters < kit.encoder.parameters / 10
    encoder.save(tmp_path)
    again = SmallEncoder(settings, seed=0)
    again.load(tmp_path)
    asked = kit.test(f"text-{medium}")
    for contents in (asked.queries, asked.candidates):
        assert np.array_equal(encoder.encode(contents), again.encode(contents))

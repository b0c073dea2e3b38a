"""The `precomputed` encoder: vectors found by name, by text or by row, and every mistake in the files told in words."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from baselines.dual_tower import DualTower
from baselines.encoders.precomputed import PrecomputedEncoder
from baselines.encoders.settings import PrecomputedSettings
from baselines.settings import DualTowerSettings
from harness.contract.dataset import WHOLE, Contents, Order, Pairs, Unavailable, texts
from harness.contract.problems import BadInput

NOTHING = Pairs.empty("text", "image")
CLIPS = ["dog.wav", "rain.wav", "a b.wav", "Straße.wav"]
CAPTIONS = ["a dog", "rain falls", "a dog", "two\nlines", ""]
DIM = 6


def vectors(count: int, seed: int = 0, kind: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(kind)


def clips(order: list[int], split: str = "test") -> Contents:
    """Nothing of them is fetched: their vectors are elsewhere."""

    def fetch(position: int) -> Any:
        raise AssertionError("nobody looks at the media")

    orders = {split: Order(np.arange(4), 4)}
    return Contents("audio", fetch, np.array(order, np.int64), "there", CLIPS.__getitem__, orders=orders)


def captions(split: str = "test") -> Contents:
    return replace(texts(CAPTIONS), orders={split: Order(np.arange(5), 5)})


def written(folder: Path, ending: str, rows: np.ndarray, names: list[str] | None, stem: str) -> dict[str, Path]:
    """As arguments of the encoder: a file of vectors, and one of names where the format has no room for them."""
    path, side = folder / f"{stem}{ending}", stem
    if ending == ".npy":
        np.save(path, rows)
    elif ending == ".npz":
        np.savez(path, vectors=rows, **({} if names is None else {"names": np.array(names)}))
        return {side: path}
    else:
        save_file({"vectors": rows}, path)
    if names is None:
        return {side: path}
    (folder / f"{stem}.json").write_text(json.dumps(names))
    return {side: path, f"{side}_names": folder / f"{stem}.json"}


def unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("ending", [".npy", ".npz", ".safetensors"])
def test_found_by_name_and_by_text(tmp_path: Path, ending: str, kind: Any) -> None:
    media, text = vectors(4, 0, kind), vectors(4, 1, kind)
    known = ["a dog", "rain falls", "two\nlines", ""]
    encoder = PrecomputedEncoder(
        PrecomputedSettings(
            **written(tmp_path, ending, media, CLIPS, "media"), **written(tmp_path, ending, text, known, "text")
        )
    )
    encoder.fit(NOTHING, NOTHING)
    assert encoder.dim == DIM
    found = encoder.encode(clips([2, 0, 0]))
    np.testing.assert_allclose(found, unit(media)[[2, 0, 0]], rtol=1e-5)
    assert found.dtype == np.float32
    np.testing.assert_allclose(encoder.encode(texts(CAPTIONS)), unit(text)[[0, 1, 0, 2, 3]], rtol=1e-5)
    assert encoder.encode(clips([])).shape == (0, DIM)
    (tmp_path / "kept").mkdir()
    encoder.save(tmp_path / "kept")
    again = PrecomputedEncoder(
        PrecomputedSettings(**encoder.files, **{f"{side}_names": path for side, path in encoder.names.items()})
    )
    again.load(tmp_path / "kept")
    assert np.array_equal(again.encode(clips([1])), encoder.encode(clips([1])))


def by_row(folder: Path, rows: int = 4, split: str | None = "test") -> PrecomputedEncoder:
    media = written(folder, ".npy", vectors(rows), None, "media")
    encoder = PrecomputedEncoder(
        PrecomputedSettings(split=split, **media, **written(folder, ".npy", vectors(5, 1), None, "text"))
    )
    encoder.fit(NOTHING, NOTHING)
    return encoder


def test_found_by_row_of_one_split(tmp_path: Path) -> None:
    encoder = by_row(tmp_path)
    np.testing.assert_allclose(encoder.encode(clips([3, 1])), unit(vectors(4))[[3, 1]], rtol=1e-5)
    np.testing.assert_allclose(encoder.encode(captions()[::-1]), unit(vectors(5, 1))[::-1], rtol=1e-5)
    with pytest.raises(BadInput, match="rows are those of the split test, and what is asked for has train"):
        encoder.encode(clips([0], "train"))
    whole = by_row(tmp_path, split=None)
    np.testing.assert_allclose(whole.encode(captions(WHOLE)[np.array([4, 0])]), unit(vectors(5, 1))[[4, 0]], rtol=1e-5)
    with pytest.raises(BadInput, match=r"nothing says whose rows these are; .*`text_names`.*`split: test`"):
        whole.encode(captions())


def test_a_dual_tower_over_them(tmp_path: Path) -> None:
    encoder = by_row(tmp_path)
    retriever = DualTower(DualTowerSettings(), encoder=encoder, seed=0)
    retriever.index(clips([3, 2, 1, 0]))
    found = retriever.search(captions(), 2).ids
    expected = np.argsort(-(unit(vectors(5, 1)) @ unit(vectors(4))[::-1].T), axis=1)[:, :2]
    assert np.array_equal(found, expected)


# -- what is wrong with files -----------------------------------------------------------------------------------------


def told(words: str, media: dict[str, Any], text: dict[str, Any] | None = None, **more: Any) -> None:
    folder = next(iter(media.values())).parent
    text = text or written(folder, ".npz", vectors(4, 1), [*CAPTIONS[:2], "c", "d"], "text")
    with pytest.raises(BadInput, match=words):
        PrecomputedEncoder(PrecomputedSettings(**media, **text, **more)).fit(NOTHING, NOTHING)


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "row 2 holds NaN"), (np.inf, "row 2 holds NaN or infinity"), (0.0, "but zeros")]
)
def test_rows_without_a_direction(tmp_path: Path, value: float, words: str) -> None:
    rows = vectors(4)
    rows[2] = value
    told(words, written(tmp_path, ".npy", rows, CLIPS, "media"))


def test_wrong_row_counts(tmp_path: Path) -> None:
    told("has 3 rows and .*media.json 4 names", written(tmp_path, ".npy", vectors(3), CLIPS, "media"))
    short = by_row(tmp_path, rows=3)
    with pytest.raises(BadInput, match="has 3 rows; expected 4, one for each audio annotated in test"):
        short.encode(clips([0]))


def test_dimensions_that_do_not_fit(tmp_path: Path) -> None:
    text = written(tmp_path, ".npy", vectors(2)[:, :4], ["a", "b"], "text")
    told("of dimension 6 and .* of 4", written(tmp_path, ".npy", vectors(4), CLIPS, "media"), text)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.ones(4, np.float32), r"float32 of shape \(4,\); expected floats"),
        (np.ones((4, 6), np.int64), "int64 of shape"),
        (np.ones((0, 6), np.float32), r"of shape \(0, 6\)"),
        (np.array([["a"]]), "expected floats"),
    ],
)
def test_no_rows_of_numbers(tmp_path: Path, rows: np.ndarray, words: str) -> None:
    np.savez(tmp_path / "media.npz", vectors=rows, names=np.array(CLIPS[: len(rows)]))
    told(words, {"media": tmp_path / "media.npz"})


def test_names(tmp_path: Path) -> None:
    twice = [*CLIPS[:3], CLIPS[0]]
    told("'dog.wav' names the rows 0 and 3, which differ", written(tmp_path, ".npz", vectors(4), twice, "media"))
    media = written(tmp_path, ".npy", vectors(4), CLIPS, "media")
    media["media_names"].write_text("[1, 2]")
    told("is no list of texts", media)
    media["media_names"].write_text("[")
    told("can't be read", media)
    media["media_names"].unlink()
    with pytest.raises(Unavailable, match="no names at"):
        told("", media)


def test_what_has_no_vector_is_named(tmp_path: Path) -> None:
    encoder = PrecomputedEncoder(
        PrecomputedSettings(
            **written(tmp_path, ".npz", vectors(3), CLIPS[:3], "media"),
            **written(tmp_path, ".npz", vectors(1, 1), ["a dog"], "text"),
        )
    )
    encoder.fit(NOTHING, NOTHING)
    with pytest.raises(BadInput, match=r"no vectors for 1 of 2 audio contents: 'Straße.wav'; it has 'dog.wav'"):
        encoder.encode(clips([0, 3]))
    with pytest.raises(BadInput, match="no vectors for 1 of 1 text contents: 'a  dog'"):
        encoder.encode(texts(["a  dog"]))
    nameless = Contents("audio", str, np.arange(1), "nameless")
    with pytest.raises(BadInput, match="this audio has none"):
        encoder.encode(nameless)


@pytest.mark.parametrize("ending", [".npy", ".npz", ".safetensors"])
def test_files_that_are_not_there_or_cut_short(tmp_path: Path, ending: str) -> None:
    media = written(tmp_path, ending, vectors(400), [str(row) for row in range(400)], "media")
    media["media"].write_bytes(media["media"].read_bytes()[:700])
    told("no vectors can be read|ends|can't be read", media)
    media["media"].unlink()
    with pytest.raises(Unavailable, match="no vectors at"):
        told("", media)


class Bomb:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return (Path.touch, (self.place,))


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_a_pickle_that_would_run_code_is_not_run(tmp_path: Path, ending: str) -> None:
    bomb = np.array([Bomb(tmp_path / "burst")], dtype=object)
    path = tmp_path / f"media{ending}"
    np.save(path, bomb) if ending == ".npy" else np.savez(path, vectors=bomb)
    told("nothing pickled", {"media": path})
    plain = tmp_path / "plain.npy"
    plain.write_bytes(pickle.dumps(Bomb(tmp_path / "burst")))
    told("nothing pickled", {"media": plain})
    assert not (tmp_path / "burst").exists()
    np.load(path, allow_pickle=True)["vectors" if ending == ".npz" else ...]
    assert (tmp_path / "burst").exists(), "it would have burst"


def test_other_endings_and_no_vectors_inside(tmp_path: Path) -> None:
    (tmp_path / "media.csv").write_text("1,2")
    told("ends in .npy, .npz or .safetensors", {"media": tmp_path / "media.csv"})
    np.savez(tmp_path / "media.npz", rows=vectors(4))
    told("no array called `vectors`", {"media": tmp_path / "media.npz"})

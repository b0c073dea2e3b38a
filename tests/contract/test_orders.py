"""Vectors by position: a row for all that is annotated, so that what isn't here moves nobody to another row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_files import write_picture

from baselines.encoders.precomputed import PrecomputedEncoder
from baselines.encoders.settings import PrecomputedSettings
from harness.contract.dataset import Contents, Pairs, Split
from harness.contract.problems import BadInput, SuiteError
from harness.data.datasets.flickr30k import Flickr30k
from harness.data.datasets.manifest import Manifest, ManifestSettings
from harness.data.datasets.recorded import RecordedSettings
from harness.data.media.screened import Screened

NOTHING = Pairs.empty("text", "image")
ITEMS, DIM = 12, 4


def written(folder: Path, name: str, rows: np.ndarray, names: list[str] | None = None) -> Path:
    path = folder / f"{name}.{'npy' if names is None else 'npz'}"
    np.save(path, rows) if names is None else np.savez(path, vectors=rows, names=np.array(names))
    return path


def some(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def encoder(media: Path, text: Path, split: str | None = None) -> PrecomputedEncoder:
    made = PrecomputedEncoder(PrecomputedSettings(media=media, text=text, split=split))
    made.fit(NOTHING, NOTHING)
    return made


def same(one: PrecomputedEncoder, other: PrecomputedEncoder, split: Split) -> None:
    for contents in (split.named, split.captions):
        shuffled = contents[np.random.default_rng(0).permutation(len(contents))]
        assert len(shuffled) and np.array_equal(one.encode(shuffled), other.encode(shuffled))


def flickr(folder: Path, present: list[int], broken: int) -> Screened:
    """Twelve images in test, of which few are here, one of them broken; empty captions among theirs."""
    images = [
        {"filename": f"{number}.jpg", "split": "test", "sentences": [{"raw": text} for text in captions(number)]}
        for number in range(ITEMS)
    ]
    images.append({"filename": "train.jpg", "split": "train", "sentences": [{"raw": "one"}]})
    (folder / "dataset_flickr30k.json").write_text(json.dumps({"images": images}))
    for number in present:
        write_picture(folder / f"{number}.jpg", number)
    (folder / f"{broken}.jpg").write_bytes(b"no picture")
    return Screened(Flickr30k(RecordedSettings(broken=1.0), root=folder), None)


def captions(number: int) -> list[str]:
    return [f"caption {number} {each}" if each != number % 3 else " " for each in range(3)]


def test_where_most_media_are_missing_position_says_what_the_name_says(tmp_path: Path) -> None:
    dataset = flickr(tmp_path, present=[2, 3, 7, 9, 11], broken=8)
    told = [text for number in range(ITEMS) for text in captions(number)]
    media, text = some(ITEMS, 0), some(len(told), 1)
    by_row = encoder(written(tmp_path, "media", media), written(tmp_path, "text", text), "test")
    spoken = [row for row, each in enumerate(told) if each.strip()]
    by_name = encoder(
        written(tmp_path, "media", media, [f"{number}.jpg" for number in range(ITEMS)]),
        written(tmp_path, "text", text[spoken], [told[row] for row in spoken]),
    )
    split = dataset.split("test")
    assert list(split.item_names) == [f"{number}.jpg" for number in (2, 3, 7, 9, 11)]
    same(by_row, by_name, split)
    same(by_row, by_name, dataset.split("test/2of3"))  # rows are those of the whole split all the same


@pytest.mark.parametrize(("rows", "texts"), [(5, 36), (11, 36), (13, 36), (12, 10), (12, 35)])
def test_any_other_number_of_rows_is_an_error_with_both_numbers(tmp_path: Path, rows: int, texts: int) -> None:
    split = flickr(tmp_path, present=[2, 3, 7, 9, 11], broken=8).split("test")
    made = encoder(written(tmp_path, "media", some(rows, 0)), written(tmp_path, "text", some(texts, 1)), "test")
    wrong, found, expected = (split.named, rows, 12) if rows != 12 else (split.captions, texts, 36)
    with pytest.raises(BadInput, match=f"has {found} rows; expected {expected}, one for each {wrong.modality}"):
        made.encode(wrong)


def interleaved(folder: Path, column: str, **more: Any) -> Manifest:
    """Twenty items, two captions each, the second ones after all the first."""
    rows = [
        f"{item if column == 'row' else f'{item}.png'},caption {item} {each}" for each in range(2) for item in ORDER
    ]
    (folder / "mine.csv").write_text("\n".join([f"{column},caption", *rows]))
    return Manifest(
        ManifestSettings(path=folder / "mine.csv", modality="image", split={"test": 0.4, "validation": 0.2}, **more)
    )


ORDER = np.random.default_rng(7).permutation(20).tolist()
SPOKEN = [f"caption {item} {each}" for each in range(2) for item in ORDER]


def test_a_manifest_with_shares(tmp_path: Path) -> None:
    dataset = interleaved(tmp_path, "path")
    media, text = some(20, 0), some(40, 1)
    names = [f"{item}.png" for item in ORDER]
    by_name = encoder(written(tmp_path, "media", media, names), written(tmp_path, "text", text, SPOKEN))
    whole = encoder(written(tmp_path, "media", media), written(tmp_path, "text", text))
    for name in ("train", "validation", "test"):
        split = dataset.split(name)
        same(whole, by_name, split)
        mine = [row for row, each in enumerate(names) if each in split.item_names]  # in the order of the file
        asked = [row for row, each in enumerate(SPOKEN) if each in list(split.captions)]
        (tmp_path / name).mkdir()
        one = written(tmp_path / name, "media", media[mine]), written(tmp_path / name, "text", text[asked])
        same(encoder(*one, name), by_name, split)
    too_many = encoder(written(tmp_path, "media", media), written(tmp_path, "text", text), "test")
    with pytest.raises(BadInput, match=r"media\.npy has 20 rows; expected 8, one for each image annotated in test"):
        too_many.encode(dataset.split("test").named)


def test_the_column_row_feeds_precomputed_in_all_splits(tmp_path: Path) -> None:
    media, text = some(25, 0), some(40, 1)  # more vectors than the manifest uses
    dataset = interleaved(tmp_path, "row", vectors=written(tmp_path, "media", media))
    made = encoder(tmp_path / "media.npy", written(tmp_path, "text", text))
    for name in ("train", "validation", "test"):
        split = dataset.split(name)
        expected = media[[int(each) for each in split.item_names]]
        np.testing.assert_allclose(made.encode(split.named), unit(expected), rtol=1e-5)
        expected = text[[SPOKEN.index(each) for each in split.captions]]
        np.testing.assert_allclose(made.encode(split.captions), unit(expected), rtol=1e-5)
    (tmp_path / "other").mkdir()
    short = encoder(written(tmp_path / "other", "media", some(20, 0)), tmp_path / "text.npy")
    with pytest.raises(BadInput, match="has 20 rows; expected 25"):
        short.encode(dataset.split("test").named)


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_vectors_of_a_manifest_that_are_none(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"media{ending}"
    path.write_bytes(b"no vectors")
    with pytest.raises(BadInput, match="no vectors can be read from it"):
        interleaved(tmp_path, "row", vectors=path).split("test")


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_missing_vectors_are_counted_over_the_whole(tmp_path: Path) -> None:
    """Texts are encoded by the thousand: the count is that of all of them."""
    made = PrecomputedEncoder(PrecomputedSettings(text=written(tmp_path, "text", some(1, 0), ["w0"])))
    made.fit(NOTHING, NOTHING)
    made.stored = lambda encoder, contents: encoder.encode(contents[:2])
    words = [f"w{number}" for number in range(20_000)]
    contents = Contents("text", words.__getitem__, np.arange(20_000), "words")
    with pytest.raises(BadInput, match="no vectors for 19,999 of 20,000 text contents"):
        made.embed(contents)
    with pytest.raises(BadInput, match="no vectors of media; name a file of them: `media: FILE`"):
        made.encode(Contents("image", str, np.arange(1), "pictures"))


# -- several columns of captions --------------------------------------------------------------------------------------

WIDE = "path,caption_1,caption_2,caption_3\na.png,one,two,three\nb.png,four, ,five\n"


def wide(folder: Path, text: str = WIDE, **columns: Any) -> Manifest:
    (folder / "wide.csv").write_text(text)
    return Manifest(ManifestSettings(path=folder / "wide.csv", modality="image", columns=columns))


def test_several_columns_of_captions(tmp_path: Path) -> None:
    split = wide(tmp_path, caption=["caption_1", "caption_2", "caption_3"]).split("test")
    assert list(split.captions) == ["one", "two", "three", "four", "five"] and split.owner.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("text", "columns", "words"),
    [
        (WIDE, {}, "columns: {caption: [caption_1, caption_2, caption_3]}"),
        (WIDE, {"caption": ["caption_1", "caption_9"]}, "expected caption_9; name it so"),
        (WIDE, {"path": ["path", "caption_1"]}, "has path: ['path', 'caption_1']; expected the name of one column"),
        (WIDE, {"caption": []}, "has caption: []; expected"),
        ("path,a,b\na.png,x,y\nb.png,,\n", {"caption": ["a", "b"]}, "3: no captions; expected one at least"),
    ],
)
def test_what_is_wrong_with_several_columns(tmp_path: Path, text: str, columns: Any, words: str) -> None:
    with pytest.raises((SuiteError, ValueError)) as caught:
        wide(tmp_path, text, **columns).split("test")
    assert words in str(caught.value) and "did you mean" not in str(caught.value)

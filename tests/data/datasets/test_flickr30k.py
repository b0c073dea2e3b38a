"""Flickr30K: the token file knows no splits, and another one's must not be taken for Karpathy's."""

from __future__ import annotations

from pathlib import Path

import pytest
from disk import flickr_csv, flickr_token, write

from harness.contract.dataset import Unavailable
from harness.contract.problems import SuiteError
from harness.data.datasets.flickr30k import Flickr30k
from harness.data.datasets.recorded import RecordedSettings


def test_lists_that_do_not_say_whose_they_are_are_not_taken(tmp_path: Path) -> None:
    flickr_token(tmp_path)
    (tmp_path / "karpathy").rename(tmp_path / "entities")
    with pytest.raises(Unavailable, match="has the captions, but not which images test has") as caught:
        Flickr30k(RecordedSettings(), root=tmp_path).split("test")
    assert "dataset_flickr30k.json" in str(caught.value) and str(tmp_path / "karpathy/test.txt") in str(caught.value)


def test_a_listed_image_without_captions(tmp_path: Path) -> None:
    flickr_token(tmp_path)
    path = write(tmp_path / "karpathy/test.txt", "11.jpg\n77.jpg")
    with pytest.raises(SuiteError, match=r"'77\.jpg' has no caption") as caught:
        Flickr30k(RecordedSettings(), root=tmp_path).split("test")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("line", ["12.jpg a caption without a tab", "12.jpg\tno number"])
def test_a_token_line_of_another_form(tmp_path: Path, line: str) -> None:
    flickr_token(tmp_path)
    path = tmp_path / "results_20130124.token"
    write(path, f"10.jpg#0\tfine\n{line}\n")
    with pytest.raises(SuiteError, match=r"expected NAME.jpg#NUMBER, a tab and a caption") as caught:
        Flickr30k(RecordedSettings(), root=tmp_path).split("train")
    assert f"{path}:2: " in str(caught.value)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('not json,"[0]",train,13.jpg,3', "raw is 'not json'"),
        ('"[1, 2]","[0]",train,13.jpg,3', "expected a JSON list of captions"),
        ('"[""a""]","[0]",dev,13.jpg,3', "split is 'dev'; expected train, restval, val, test"),
    ],
)
def test_a_row_of_the_csv_that_is_wrong(tmp_path: Path, row: str, words: str) -> None:
    flickr_csv(tmp_path)
    path = tmp_path / "flickr_annotations_30k.csv"
    write(path, path.read_bytes() + b"\r\n" + row.encode())
    with pytest.raises(SuiteError) as caught:
        Flickr30k(RecordedSettings(), root=tmp_path).split("train")
    assert f"{path}:5: " in str(caught.value) and words in str(caught.value)

"""MSVD: names that begin with a dash, captions in other languages, a pickle."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from disk import MSVD, MSVD_NAMES, contents, msvd_csv, msvd_lines, msvd_pickle, write

from harness.contract.dataset import Unavailable
from harness.contract.problems import SuiteError
from harness.data.datasets.msvd import Msvd
from harness.data.datasets.recorded import RecordedSettings


def test_a_video_may_go_by_its_number(tmp_path: Path) -> None:
    msvd_csv(tmp_path)
    assert [path.name for path in Msvd(RecordedSettings(), root=tmp_path).present("validation").paths] == [
        "vid1201.avi"
    ]
    (tmp_path / "YouTubeClips/vid1201.avi").rename(tmp_path / f"YouTubeClips/{MSVD_NAMES['validation']}.mp4")
    assert contents(Msvd(RecordedSettings(), root=tmp_path), "validation") == MSVD["validation"]


def test_without_lists_the_mapping_is_needed(tmp_path: Path) -> None:
    msvd_csv(tmp_path)
    (tmp_path / "youtube_mapping.txt").unlink()
    with pytest.raises(Unavailable, match=r"no .*test_list\.txt and no youtube_mapping\.txt; get msvd_data"):
        Msvd(RecordedSettings(), root=tmp_path).split("test")


def test_a_pickle_of_something_else(tmp_path: Path) -> None:
    msvd_pickle(tmp_path)
    path = write(tmp_path / "raw-captions.pkl", pickle.dumps(["captions"]))
    with pytest.raises(SuiteError, match="something else than lists of words by video") as caught:
        Msvd(RecordedSettings(), root=tmp_path).split("test")
    assert str(path) in str(caught.value)


def test_a_listed_video_without_captions(tmp_path: Path) -> None:
    msvd_lines(tmp_path)
    path = write(tmp_path / "test_list.txt", "unknown_1_2")
    with pytest.raises(SuiteError, match="'unknown_1_2' have no captions in") as caught:
        Msvd(RecordedSettings(), root=tmp_path).split("test")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "line"), [("AllVideoDescriptions.txt", "nocaption"), ("youtube_mapping.txt", "a b c")]
)
def test_a_line_of_another_form(tmp_path: Path, name: str, line: str) -> None:
    msvd_csv(tmp_path)
    msvd_lines(tmp_path)
    for path in tmp_path.glob("*_list.txt"):
        path.unlink()
    path = tmp_path / name
    lines = path.read_text().split("\n")
    write(path, "\n".join([*lines[:2], line, *lines[2:]]))
    with pytest.raises(SuiteError, match="expected a") as caught:
        Msvd(RecordedSettings(), root=tmp_path).split("test")
    assert f"{path}:3: " in str(caught.value)

"""MSR-VTT: what each protocol trains on and asks; and that nobody is asked what they were trained on."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from disk import (
    ASKED,
    FULL,
    PART,
    VIDEOS,
    VTT,
    clip4clip,
    contents,
    data,
    frozen,
    jsfusion,
    official,
    touch,
    write,
    write_json,
)

from harness.contract.dataset import Unavailable
from harness.contract.problems import SuiteError
from harness.data.datasets.msrvtt import MsrVtt, MsrVttSettings

BUILDS = {"CLIP4Clip": clip4clip, "Frozen in Time": frozen, "official": official}
LEARNED = {
    "1k-a": {video for video in VIDEOS if video not in ASKED},
    "1k-a-7k": {video for video in VIDEOS if PART[video] != "test"},
}


@pytest.mark.parametrize("layout", BUILDS)
@pytest.mark.parametrize("protocol", LEARNED)
def test_validation_is_carved_out_of_what_the_protocol_trains_on(tmp_path: Path, layout: str, protocol: str) -> None:
    BUILDS[layout](tmp_path)
    dataset = MsrVtt(MsrVttSettings(protocol=protocol), root=tmp_path)  # type: ignore[arg-type]
    train, validation = contents(dataset, "train"), contents(dataset, "validation")
    assert train.keys() | validation.keys() == LEARNED[protocol] and not train.keys() & validation.keys()
    assert len(validation) == len(LEARNED[protocol]) // 5
    assert all(VTT[video] == captions for video, captions in (train | validation).items()), "19 captions and 20"
    assert contents(dataset, "test") == {video: [text] for video, text in ASKED.items()}
    assert layout in dataset.split("train").layout


def test_all_layouts_carve_alike(tmp_path: Path) -> None:
    carved = []
    for layout, build in BUILDS.items():
        build(tmp_path / layout)
        carved.append(set(MsrVtt(MsrVttSettings(), root=tmp_path / layout).split("validation").item_names))
    assert carved[0] == carved[1] == carved[2]


def test_a_list_that_trains_on_the_test_is_refused(tmp_path: Path) -> None:
    clip4clip(tmp_path)
    path = write(tmp_path / "MSRVTT_train.9k.csv", "video_id\nvideo1\nvideo13\n")
    with pytest.raises(SuiteError, match="'video13' are in train and in 1k-A's test") as caught:
        MsrVtt(MsrVttSettings(), root=tmp_path).split("train")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("semicolons", [False, True])
def test_the_sentences_and_the_videos_are_enough_to_ask(tmp_path: Path, semicolons: bool) -> None:
    jsfusion(tmp_path / "MSRVTT_JSFUSION_test.csv", semicolons)
    touch(tmp_path / "MSRVTT_Videos", [f"{video}.mp4" for video in ASKED])
    dataset = MsrVtt(MsrVttSettings(), root=tmp_path)
    assert contents(dataset, "test") == {video: [text] for video, text in ASKED.items()}
    assert "MSRVTT_JSFUSION_test.csv" in dataset.layout and dataset.surplus() == []
    write(tmp_path / "MSRVTT_train.9k.csv", "video_id\nvideo1\nvideo2\n")
    for split in ("train", "validation"):
        with pytest.raises(Unavailable, match=r"msrvtt: no captions below .*; get MSRVTT_data\.json"):
            MsrVtt(MsrVttSettings(), root=tmp_path).split(split)
    clip4clip(tmp_path / "whole")
    assert contents(MsrVtt(MsrVttSettings(), root=tmp_path / "whole"), "test") == contents(dataset, "test")
    digests = [
        MsrVtt(MsrVttSettings(), root=root).split("test").captions.digest for root in (tmp_path, tmp_path / "whole")
    ]
    assert digests[0] == digests[1]


def test_a_video_that_is_asked_twice(tmp_path: Path) -> None:
    clip4clip(tmp_path)
    path = tmp_path / "MSRVTT_JSFUSION_test.csv"
    write(path, path.read_text() + "\nret2;msr13;video13;again")
    with pytest.raises(SuiteError, match="video13 again") as caught:
        MsrVtt(MsrVttSettings(), root=tmp_path).split("test")
    assert f"{path}:4: " in str(caught.value)


@pytest.mark.parametrize("protocol", ["1k-a", "full"])
def test_half_of_the_official_files(tmp_path: Path, protocol: str) -> None:
    official(tmp_path)
    (tmp_path / "test_videodatainfo.json").unlink()
    dataset = MsrVtt(MsrVttSettings(protocol=protocol), root=tmp_path)  # type: ignore[arg-type]
    if protocol == "1k-a":  # the sentences of its test stand elsewhere, its train is not whole
        assert list(contents(dataset, "test")) == list(ASKED)
        return
    with pytest.raises(Unavailable, match=r"which videos the full test split has; put test_videodatainfo\.json there"):
        dataset.split("test")


def test_a_train_list_with_videos_that_have_no_captions(tmp_path: Path) -> None:
    clip4clip(tmp_path)
    write_json(tmp_path / "MSRVTT_data.json", data(VIDEOS[:3]))
    with pytest.raises(Unavailable, match=r"no captions for .* of .* videos"):
        MsrVtt(MsrVttSettings(), root=tmp_path).split("train")


def test_the_sentence_can_be_chosen_by_number(tmp_path: Path) -> None:
    frozen(tmp_path)
    (tmp_path / "MSRVTT_JSFUSION_test.csv").unlink()
    with pytest.raises(Unavailable, match=r"no .*MSRVTT_JSFUSION_test\.csv, which says what 1k-A asks; get it"):
        MsrVtt(MsrVttSettings(), root=tmp_path).split("test")
    path = tmp_path / "high-quality/structured-symlinks/jsfusion_val_caption_idx.pkl"
    write(path, pickle.dumps({"video13": 19, "video15": 0}))
    assert contents(MsrVtt(MsrVttSettings(), root=tmp_path), "test") == {
        "video15": ["video15 0"],
        "video13": ["video13 19"],
    }
    write(path, pickle.dumps({"video13": 20, "video15": 0}))
    with pytest.raises(SuiteError, match="names no caption of a video"):
        MsrVtt(MsrVttSettings(), root=tmp_path).split("test")


def test_full_goes_by_lists_before_what_the_files_say(tmp_path: Path) -> None:
    clip4clip(tmp_path)
    write(tmp_path / "high-quality/structured-symlinks/test_list_full.txt", "video14\nvideo12")
    dataset = MsrVtt(MsrVttSettings(protocol="full"), root=tmp_path)
    assert list(contents(dataset, "test")) == ["video14", "video12"]
    assert contents(dataset, "train") == FULL["train"]


def test_full_without_any_word_of_its_splits(tmp_path: Path) -> None:
    frozen(tmp_path)
    for path in (tmp_path / "high-quality/structured-symlinks").glob("*_full.txt"):
        path.unlink()
    with pytest.raises(Unavailable, match=r"the full train split has.*train_list_full\.txt"):
        MsrVtt(MsrVttSettings(protocol="full"), root=tmp_path).split("test")

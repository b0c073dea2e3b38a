"""AudioCaps: the names its files go by, its two versions, its subsets."""

from __future__ import annotations

from pathlib import Path

import pytest
from disk import DASHED, HEADER, PLAIN, audiocaps, audiocaps_repository, contents, touch, write

from harness.contract.dataset import Unavailable
from harness.contract.problems import SuiteError
from harness.data.datasets.audiocaps import AudioCaps, AudioCapsSettings


@pytest.mark.parametrize(
    "name",
    [
        f"Y{DASHED}.wav",
        f"{DASHED}.wav",
        f"{DASHED}_30.flac",
        f"{DASHED}_30000.wav",
        "100.wav",
        "104.wav",
        f"{DASHED}.mp3",
    ],
)
@pytest.mark.parametrize("folder", ["test", "audio", "wavs/test", "waveforms/test", "."])
def test_a_clips_file_is_found_whatever_it_is_called(tmp_path: Path, name: str, folder: str) -> None:
    audiocaps(tmp_path)
    for path in (tmp_path / "test").iterdir():
        path.unlink()
    touch(tmp_path / folder, [name])
    dataset = AudioCaps(AudioCapsSettings(), root=tmp_path)
    assert dataset.split("test").item_names == [DASHED]
    assert dataset.present("test").paths == [tmp_path / folder / name]
    assert dataset.split("test").dropped == (PLAIN,)


def test_another_version_than_the_one_asked_for_is_refused(tmp_path: Path) -> None:
    audiocaps(tmp_path)
    with pytest.raises(Unavailable, match=r"test\.csv holds v1 .*and v2 was asked for; write `version: v1`"):
        AudioCaps(AudioCapsSettings(version="v2"), root=tmp_path).split("test")
    audiocaps_repository(tmp_path / "both")
    (tmp_path / "both/dataset").rename(tmp_path / "both/v2")
    with pytest.raises(Unavailable, match="holds v1"):
        AudioCaps(AudioCapsSettings(version="v2"), root=tmp_path / "both").split("test")


def test_a_list_of_clips_makes_a_named_subset(tmp_path: Path) -> None:
    audiocaps(tmp_path)
    for line in (PLAIN, f"Y{PLAIN}", f"{PLAIN}.wav"):
        chosen = write(tmp_path / "957.txt", f"{line}\r\n")
        dataset = AudioCaps(AudioCapsSettings(clips=chosen), root=tmp_path)
        assert list(contents(dataset, "test")) == [PLAIN]
        assert f"clips of {chosen}" in dataset.split("test").layout
        assert len(dataset.split("train").items) == 1, "the list is of test clips"
    write(chosen, "abc\n")
    with pytest.raises(SuiteError, match="'abc' is no youtube id of test"):
        AudioCaps(AudioCapsSettings(clips=chosen), root=tmp_path).split("test")
    with pytest.raises(Unavailable, match="no list of clips at"):
        AudioCaps(AudioCapsSettings(clips=tmp_path / "none.txt"), root=tmp_path).split("test")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (f"300,{PLAIN},soon,Caption", "start_time is 'soon'; expected seconds"),
        (f"300,{PLAIN},20,Caption, not quoted", "5 fields; expected 4"),
        (f"300,{PLAIN}", "2 fields; expected 4"),
    ],
)
def test_a_row_that_is_wrong_is_named(tmp_path: Path, row: str, words: str) -> None:
    audiocaps(tmp_path)
    path = write(tmp_path / "test.csv", f"{HEADER}\n100,{DASHED},30,Caption\n{row}\n")
    with pytest.raises(SuiteError) as caught:
        AudioCaps(AudioCapsSettings(), root=tmp_path).split("test")
    assert f"{path}:3: " in str(caught.value) and words in str(caught.value)

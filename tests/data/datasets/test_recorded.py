"""Every recorded dataset in every layout: what is read, what is dropped, what is said where something is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from disk import COPIES, Copy, contents, write

from harness.contract.dataset import Unavailable
from harness.contract.problems import BadInput
from harness.data.datasets import audiocaps, clotho, coco, flickr30k, msrvtt, msvd
from harness.data.datasets.recorded import SUFFIXES, Clip, carve
from harness.suite.registry import kinds


@pytest.fixture(params=sorted(COPIES))
def copy(request: pytest.FixtureRequest) -> Copy:
    return COPIES[request.param]


def media_files(root: Path) -> list[Path]:
    endings = {ending for each in SUFFIXES.values() for ending in each}
    return sorted(path for path in root.rglob("*") if path.suffix in endings)


def test_each_layout_is_read_and_named(copy: Copy, tmp_path: Path) -> None:
    copy.build(tmp_path)
    dataset = copy.at(tmp_path)
    for split, held in copy.holds.items():
        assert contents(dataset, split) == held, split
        assert list(contents(dataset, split)) == list(held), "in the order of the file"
        assert copy.told in dataset.annotated(split).layout
        assert dataset.split(split).dropped == ()


def test_each_file_is_found(copy: Copy, tmp_path: Path) -> None:
    copy.build(tmp_path)
    dataset = copy.at(tmp_path)
    paths = [path for split in copy.holds for path in dataset.present(split).paths]
    assert all(path.is_file() for path in paths)
    assert len(set(paths)) == sum(len(held) for held in copy.holds.values()), "no two items share a file"


def test_what_is_asked_has_one_right_answer_and_the_mirror_several(copy: Copy, tmp_path: Path) -> None:
    copy.build(tmp_path)
    split = copy.at(tmp_path).split("test" if "test" in copy.holds else "train")
    medium = split.items.modality
    asked, mirror = split.pairs(f"text-{medium}"), split.pairs(f"{medium}-text")
    assert (asked.links.counts == 1).all() and len(asked.queries) == len(split.captions)
    assert np.array_equal(mirror.links.counts, np.bincount(split.owner)) and len(mirror.queries) == len(split.items)


def test_an_absent_file_is_dropped_from_gallery_and_queries(copy: Copy, tmp_path: Path) -> None:
    copy.build(tmp_path)
    name = max(copy.holds, key=lambda split: len(copy.holds[split]))
    whole, (lost, *others) = copy.at(tmp_path), copy.holds[name]
    assert whole.split(name).dropped == ()
    whole.present(name).paths[0].unlink()
    left = copy.at(tmp_path)
    if not others:
        with pytest.raises(Unavailable, match="none of the 1 "):
            left.split(name)
        return
    assert contents(left, name) == {item: texts for item, texts in copy.holds[name].items() if item != lost}
    assert left.split(name).dropped == (lost,)
    assert left.split(name).items.digest != whole.split(name).items.digest


def test_no_media_at_all_is_said_with_where_they_were_looked_for(copy: Copy, tmp_path: Path) -> None:
    copy.build(tmp_path)
    for path in media_files(tmp_path):
        path.unlink()
    with pytest.raises(Unavailable, match=r"none of the .* files of train") as caught:
        copy.at(tmp_path).split("train")
    assert str(tmp_path) in str(caught.value) and "put them there" in str(caught.value)


def test_no_annotations_is_said_with_what_to_get(copy: Copy, tmp_path: Path) -> None:
    copy.build(tmp_path)
    for path in set(tmp_path.rglob("*")) - set(media_files(tmp_path)):
        if path.is_file():
            path.unlink()
    for split in ("train", "validation", "test"):
        with pytest.raises(Unavailable, match=f"{copy.kind.name}: no .*; .*get ") as caught:
            copy.at(tmp_path).split(split)
        assert str(tmp_path) in str(caught.value)


def test_moved_it_is_the_same_and_another_file_is_another(copy: Copy, tmp_path: Path) -> None:
    copy.build(tmp_path / "here")
    split = next(iter(copy.holds))
    here = copy.at(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    there = copy.at(tmp_path / "there")
    assert here.split(split).items.digest == there.split(split).items.digest
    assert (here.digest, here.split(split).captions.digest) == (there.digest, there.split(split).captions.digest)
    write(there.present(split).paths[0], b"something else altogether")
    assert copy.at(tmp_path / "there").split(split).items.digest != here.split(split).items.digest


def test_a_file_of_no_item_is_surplus(copy: Copy, tmp_path: Path) -> None:
    copy.build(tmp_path)
    assert copy.at(tmp_path).surplus() == []
    stray = copy.at(tmp_path).present("train").paths[0].with_stem("stray")
    write(stray, b"x")
    assert copy.at(tmp_path).surplus() == [stray.relative_to(tmp_path).as_posix()]


def test_of_two_files_of_one_name_the_likelier_folders_is_taken(tmp_path: Path) -> None:
    COPIES["flickr30k"].build(tmp_path)
    write(tmp_path / "images/11.jpg", b"another")
    assert COPIES["flickr30k"].at(tmp_path).present("test").paths == [tmp_path / "flickr30k-images/11.jpg"]
    assert COPIES["flickr30k"].at(tmp_path).surplus() == []


def test_the_counts_of_the_literature_are_known(copy: Copy, tmp_path: Path) -> None:
    copy.build(tmp_path)
    dataset = copy.at(tmp_path)
    assert copy.told in dataset.layout
    for split in copy.holds:
        counts = dataset.expected.get(split)
        assert counts is None or dataset.split(split).expected == counts[0] > 50
        assert counts is not None or (dataset.version, split) == ("v2", "train")


def test_the_literatures_counts_are_those_of_the_papers() -> None:
    assert coco.EXPECTED["five"]["test"] == (5000, 25_000) and coco.EXPECTED["all"]["test"] == (5000, 25_010)
    assert coco.EXPECTED["five"]["train"][0] == 82_783 + 30_504
    assert flickr30k.EXPECTED["karpathy"] == {
        "train": (29_000, 145_000),
        "validation": (1014, 5070),
        "test": (1000, 5000),
    }
    assert audiocaps.EXPECTED["v1"] == {"train": (49_838,) * 2, "validation": (495, 2475), "test": (975, 4875)}
    assert clotho.EXPECTED["v2.1"] == {"train": (3839, 19_195), "validation": (1045, 5225), "test": (1045, 5225)}
    assert msrvtt.EXPECTED["1k-a"]["test"] == (1000, 1000) and msrvtt.EXPECTED["full"]["test"] == (2990, 59_800)
    assert [msrvtt.EXPECTED[name]["train"][0] + msrvtt.CARVED for name in ("1k-a", "1k-a-7k")] == [9000, 7010]
    assert [msvd.EXPECTED["msvd"][split][0] for split in ("train", "validation", "test")] == [1200, 100, 670]


def test_what_was_found_is_said_once(copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy.build(tmp_path)
    said: list[str] = []
    monkeypatch.setattr("harness.data.datasets.recorded.say", said.append)
    dataset = copy.at(tmp_path)
    dataset.split("train")
    dataset.split("train")
    (line,) = said
    assert dataset.annotated("train").layout in line and "items" in line and "ids " in line


def test_an_unknown_split_is_refused(copy: Copy, tmp_path: Path) -> None:
    copy.build(tmp_path)
    with pytest.raises(ValueError, match="train, validation, test"):
        copy.at(tmp_path).split("dev")


def test_captions_without_words_are_left_out_and_an_item_twice_is_an_error(tmp_path: Path) -> None:
    COPIES["clotho"].build(tmp_path)
    path = tmp_path / "clotho_captions_evaluation.csv"
    path.write_text(path.read_text().replace("three", "  "))
    assert contents(COPIES["clotho"].at(tmp_path), "test")["evaluation/twice.wav"][2:] == ["four", "five"]
    path.write_text(path.read_text() + "twice.wav,a,b,c,d,e\n")
    with pytest.raises(BadInput, match=r"clotho_captions_evaluation.*'evaluation/twice.wav' came again"):
        COPIES["clotho"].at(tmp_path).split("test")


def test_what_is_carved_does_not_depend_on_order_or_company() -> None:
    clips = [Clip(f"video{number}", (), ()) for number in range(100)]
    rest, taken = carve(clips, 10)
    assert sorted(rest + taken) == sorted(clips) and len(taken) == 10
    assert {clip.name for clip in carve(clips[::-1], 10)[1]} == {clip.name for clip in taken}
    fewer = [clip for clip in clips if clip != taken[0]]
    assert set(taken[1:]) < set(carve(fewer, 10)[1])
    assert carve(clips, 10, seed=1)[1] != taken


def test_the_registry_builds_every_one_of_them(copy: Copy, tmp_path: Path) -> None:
    entry = kinds("datasets")[copy.kind.name]
    assert entry.load("datasets") is copy.kind
    assert set(copy.arguments) <= set(entry.settings.model_fields)
    assert entry.modalities == (copy.kind.modality,)
    copy.build(tmp_path / entry.folder)
    assert entry.absent(tmp_path) is None

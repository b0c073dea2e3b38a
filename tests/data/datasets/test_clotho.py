"""Clotho: names are taken as they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from disk import CLOTHO, ODD, clotho, contents, write

from harness.contract.dataset import Unavailable
from harness.data.datasets.clotho import MD5, Clotho
from harness.data.datasets.recorded import RecordedSettings


def test_blanks_and_entities_in_names_are_part_of_them(tmp_path: Path) -> None:
    clotho(tmp_path)
    paths = Clotho(RecordedSettings(), root=tmp_path).present("train").paths
    assert [path.name for path in paths] == list(ODD)
    (tmp_path / "development" / ODD[0]).rename(tmp_path / "development" / ODD[0].strip())
    assert Clotho(RecordedSettings(), root=tmp_path).split("train").dropped == (f"development/{ODD[0]}",)


def test_one_name_in_three_splits_is_three_items(tmp_path: Path) -> None:
    clotho(tmp_path)
    dataset = Clotho(RecordedSettings(), root=tmp_path)
    names = [name for split in CLOTHO for name in dataset.split(split).item_names]
    assert len(set(names)) == len(names) and sum(name.endswith("/twice.wav") for name in names) == 3
    for split, part in dataset.parts.items():
        assert tmp_path / part / "twice.wav" in dataset.present(split).paths


def test_a_missing_part_leaves_the_others(tmp_path: Path) -> None:
    clotho(tmp_path)
    (tmp_path / "clotho_captions_development.csv").unlink()
    with pytest.raises(Unavailable, match=r"clotho_captions_development\.csv; get it from Zenodo, record 4783391"):
        Clotho(RecordedSettings(), root=tmp_path).split("train")
    assert contents(Clotho(RecordedSettings(), root=tmp_path), "test") == CLOTHO["test"]


def test_quotes_and_newlines_in_captions(tmp_path: Path) -> None:
    clotho(tmp_path)
    path = tmp_path / "clotho_captions_evaluation.csv"
    write(path, path.read_text().replace("three", '"he says ""three"",\nand goes"'))
    assert (
        contents(Clotho(RecordedSettings(), root=tmp_path), "test")["evaluation/evaluation.wav"][2]
        == 'he says "three",\nand goes'
    )


def test_files_that_are_not_the_published_ones_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clotho(tmp_path)
    told = Clotho(RecordedSettings(), root=tmp_path).remarks()
    assert len(told) == 3 and f"{tmp_path}/clotho_captions_evaluation.csv: not the published file" in told[2]
    content = (tmp_path / "clotho_captions_evaluation.csv").read_bytes()
    monkeypatch.setitem(MD5, "test", hashlib.md5(content).hexdigest())
    assert len(Clotho(RecordedSettings(), root=tmp_path).remarks()) == 2

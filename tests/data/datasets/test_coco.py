"""MSCOCO: which captions are asked, and the five folds of 1K."""

from __future__ import annotations

from pathlib import Path

import pytest
from disk import coco_name, coco_official, five, karpathy, touch, write, write_json

from harness.contract.dataset import Unavailable
from harness.contract.problems import SuiteError
from harness.data.datasets.coco import Coco, CocoSettings

TEST = 25


def folded(root: Path, images: int = TEST) -> Coco:
    """So many test images, no two of which stand beside each other in the file."""
    told = [(coco_name(100, "train2014"), "train", five("train")), (coco_name(101), "val", five("val"))]
    for number in range(images):
        told += [(coco_name(number), "test", five(str(number))), (coco_name(200 + number), "restval", five("rest"))]
    write_json(root / "annotations/dataset_coco.json", karpathy(told))
    for name, _, _ in told:
        touch(root / "images" / name.split("_")[1], [name])
    return Coco(CocoSettings(protocol="1k"), root=root)


def test_one_k_is_five_contiguous_folds_of_the_test(tmp_path: Path) -> None:
    dataset = folded(tmp_path)
    folds = [dataset.split(f"test/{number}of5") for number in range(1, 6)]
    assert [len(fold.items) for fold in folds] == [5] * 5
    assert [name for fold in folds for name in fold.item_names] == [coco_name(number) for number in range(TEST)]
    assert list(folds[1].captions) == [text for number in range(5, 10) for text in five(str(number))]
    assert folds[1].owner.tolist() == [item for item in range(5) for _ in range(5)]
    assert folds[0].expected == 1000 and dataset.split("test").expected == 5000
    assert len({fold.items.digest for fold in [*folds, dataset.split("test")]}) == 6


def test_a_missing_image_moves_nobody_to_another_fold(tmp_path: Path) -> None:
    folded(tmp_path)
    (tmp_path / "images/val2014" / coco_name(6)).unlink()
    dataset = Coco(CocoSettings(protocol="1k"), root=tmp_path)
    folds = [dataset.split(f"test/{number}of5") for number in range(1, 6)]
    assert [len(fold.items) for fold in folds] == [5, 4, 5, 5, 5]
    assert [fold.dropped for fold in folds] == [(), (coco_name(6),), (), (), ()]
    assert folds[2].item_names[0] == coco_name(10)


def test_the_official_annotations_have_no_test_split(tmp_path: Path) -> None:
    coco_official(tmp_path)
    with pytest.raises(Unavailable, match=r"dataset_coco\.json.*what images test has; get caption_datasets"):
        Coco(CocoSettings(), root=tmp_path).split("test")


def test_karpathys_file_goes_before_the_official_ones(tmp_path: Path) -> None:
    coco_official(tmp_path)
    assert len(folded(tmp_path).split("test").items) == TEST


def test_captions_of_an_image_that_is_not_there(tmp_path: Path) -> None:
    stray = {"images": [], "annotations": [{"id": 1, "image_id": 7, "caption": "a"}]}
    path = write_json(tmp_path / "captions_train2014.json", stray)
    with pytest.raises(SuiteError, match="captions of image 7") as caught:
        Coco(CocoSettings(), root=tmp_path).split("train")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"images": [{"filename": "a.jpg", "split": "dev", "sentences": []}]}', "images[0].split is 'dev'"),
        ('{"images": [{"filename": "a.jpg", "split": "test"}]}', "images[0].sentences is"),
        ('{"images": [\n{"filename": "a.jpg"', "dataset_coco.json:2: "),
    ],
)
def test_a_broken_split_file_names_its_place(tmp_path: Path, content: str, words: str) -> None:
    write(tmp_path / "dataset_coco.json", content)
    with pytest.raises(SuiteError) as caught:
        Coco(CocoSettings(), root=tmp_path).split("test")
    assert words in str(caught.value)

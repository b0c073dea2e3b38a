"""MSCOCO: photographs with five captions each, in Karpathy's split; its test asked whole (5K) or as five folds (1K).

Layouts: `dataset_coco.json` (Karpathy); or `captions_{train,val}2014.json` alone (official), which knows no test split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from harness.contract.dataset import Unavailable
from harness.contract.entry import Entry
from harness.contract.problems import Problems
from harness.data.datasets import karpathy
from harness.data.datasets.recorded import Annotations, Clip, Counts, Recorded, RecordedSettings
from harness.reading import text_files

FIRST = 5  # captions an image in validation and test, where `captions: five`: 25,000 queries
EXPECTED = {
    "five": {"train": (113_287, 566_747), "validation": (5_000, 25_000), "test": (5_000, 25_000)},
    "all": {"train": (113_287, 566_747), "validation": (5_000, 25_010), "test": (5_000, 25_010)},
    "official": {"train": (82_783, 414_113), "validation": (40_504, 202_654)},
}
FOLDERS = ("", "annotations/", "karpathy/")


@dataclass(slots=True)
class _Image:
    id: int
    file_name: str


@dataclass(slots=True)
class _Annotation:
    id: int
    image_id: int
    caption: str


@dataclass(slots=True)
class _Official:
    images: list[_Image]
    annotations: list[_Annotation]


class CocoSettings(RecordedSettings):
    protocol: Literal["5k", "1k"] = Field("5k", description="the whole gallery, or five folds of 1,000")
    captions: Literal["five", "all"] = Field("five", description="of an image in validation and test")


class Coco(Recorded):
    name, modality, counts = "coco", "image", EXPECTED
    folders = ("train2014", "val2014", "images/train2014", "images/val2014", "images", ".")

    def __init__(self, settings: CocoSettings, root: Path) -> None:
        super().__init__(settings, root, settings.captions)

    def annotations(self, split: str) -> Annotations:
        path = self._split_file
        if path is not None:
            most = FIRST if self.version == "five" and split != "train" else None
            clips = [clip._replace(captions=clip.captions[:most]) for clip in self._karpathy[split]]
            return Annotations(f"Karpathy ({path.relative_to(self.root)})", clips)
        year = {"train": "train2014", "validation": "val2014"}.get(split)
        path = text_files.first(self.root, [f"{folder}captions_{year}.json" for folder in FOLDERS if year])
        if path is not None:
            return Annotations(f"official ({path.relative_to(self.root)}; not Karpathy's split)", read(path))
        raise Unavailable(
            f"coco: no {self.root / 'dataset_coco.json'}, which says what images {split} has; {karpathy.SOURCE}"
        )

    @property
    def expected(self) -> Mapping[str, Counts]:
        return EXPECTED[self.version if self._split_file else "official"]

    @cached_property
    def _split_file(self) -> Path | None:
        return text_files.first(self.root, [f"{folder}dataset_coco.json" for folder in FOLDERS])

    @cached_property
    def _karpathy(self) -> dict[str, list[Clip]]:
        assert self._split_file is not None
        return karpathy.read(self._split_file)


def read(path: Path) -> list[Clip]:
    """The official annotations: captions in the order of their ids."""
    whole = text_files.document(path, _Official)
    captions: dict[int, list[str]] = defaultdict(list)
    for each in sorted(whole.annotations, key=lambda annotation: annotation.id):
        captions[each.image_id].append(each.caption)
    images = {image.id: image.file_name for image in whole.images}
    stray = captions.keys() - images.keys()
    if stray:
        raise Problems(path).fail(None, f"captions of image {min(stray)}, which is not among images; get it again")
    return [Clip(name, (name,), tuple(captions[number])) for number, name in images.items()]


ENTRY = Entry(
    "harness.data.datasets.coco:Coco",
    CocoSettings,
    about="photographs, five captions each; Karpathy's split",
    modalities=("image",),
    folder="coco",
    obtain="images and annotations from cocodataset.org, split file dataset_coco.json by Karpathy; annotations "
    "CC BY 4.0, images under Flickr's terms",
    folds={"1k": 5},
)

"""Karpathy's split files, `dataset_coco.json` and `dataset_flickr30k.json`: one list of images, each with its split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.data.datasets.recorded import Clip
from harness.reading import text_files

SPLIT_OF: Mapping[str, str] = {"train": "train", "restval": "train", "val": "validation", "test": "test"}
SOURCE = "get caption_datasets.zip from cs.stanford.edu/people/karpathy/deepimagesent"


@dataclass(slots=True)
class Sentence:
    raw: str


@dataclass(slots=True)
class Image:
    filename: str
    split: Literal["train", "restval", "val", "test"]
    sentences: list[Sentence]


@dataclass(slots=True)
class Whole:
    images: list[Image]


def read(path: Path) -> dict[str, list[Clip]]:
    """The clips of each split, in the file's order, with all their captions."""
    found: dict[str, list[Clip]] = {split: [] for split in SPLIT_OF.values()}
    for image in text_files.document(path, Whole).images:
        captions = tuple(sentence.raw for sentence in image.sentences)
        found[SPLIT_OF[image.split]].append(Clip(image.filename, (image.filename,), captions))
    return found

"""Where the datasets of others come from, under which licence, and which may be fetched from where. For `data`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Copy(NamedTuple):
    """A copy on the hub that the licence allows: what it brings, and what is still to be had elsewhere."""

    repository: str
    files: str  # a glob
    brings: str
    rest: str


class Source(NamedTuple):
    licence: str
    where: str
    size: str
    copy: Copy | None = None
    counts: Mapping[str, tuple[int, int]] = {}  # items and captions, as published, of a split, or of PROTOCOL/SPLIT


SOURCES: Mapping[str, Source] = {
    "coco": Source(
        "annotations CC BY 4.0, images under Flickr's terms",
        "cocodataset.org (train2014, val2014); split: dataset_coco.json by Karpathy",
        "19 GB, 123,287 images",
        Copy(
            "yerevann/coco-karpathy",
            "data/*.parquet",
            "captions and Karpathy's split, as dataset_coco.json",
            "the images: train2014.zip and val2014.zip from images.cocodataset.org/zips",
        ),
        counts={"train": (113_287, 566_747), "validation": (5_000, 25_010), "test": (5_000, 25_010)},
    ),
    "flickr30k": Source(
        "non-commercial research; images under Flickr's terms",
        "request form of the University of Illinois; split: dataset_flickr30k.json by Karpathy",
        "about 4 GB, 31,014 images",
        counts={"train": (29_000, 145_000), "validation": (1_014, 5_070), "test": (1_000, 5_000)},
    ),
    "audiocaps": Source(
        "academic use; the clips are their uploaders'",
        "captions: github.com/cdjkim/audiocaps; clips: YouTube",
        "about 10 to 30 GB as stored, 51,308 clips of 10 s",
        counts={"train": (49_838, 49_838), "validation": (495, 2_475), "test": (975, 4_875)},
    ),
    "clotho": Source(
        "Tampere University licence (non-commercial) for captions, Creative Commons by clip",
        "Zenodo, record 4783391 (v2.1)",
        "about 7 GB packed, 5,929 clips of 15 to 30 s",
        counts={"train": (3_839, 19_195), "validation": (1_045, 5_225), "test": (1_045, 5_225)},
    ),
    "msrvtt": Source(
        "none stated; the videos are their uploaders'",
        "as prepared for CLIP4Clip (MSRVTT.zip and msrvtt_data.zip)",
        "about 6 GB, 10,000 videos",
        counts={"train": (9_000, 180_000), "validation": (497, 9_940), "test": (1_000, 1_000)}
        | {"full/train": (6_513, 130_260), "full/validation": (497, 9_940), "full/test": (2_990, 59_800)},
    ),
    "msvd": Source(
        "research; the videos are their uploaders'",
        "University of Texas (YouTubeClips); captions as prepared for CLIP4Clip",
        "about 2 GB, 1,970 videos",
        counts={"train": (1_200, 48_774), "validation": (100, 4_290), "test": (670, 27_763)},
    ),
}

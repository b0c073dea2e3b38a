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
    ),
    "flickr30k": Source(
        "non-commercial research; images under Flickr's terms",
        "request form of the University of Illinois; split: dataset_flickr30k.json by Karpathy",
        "about 4 GB, 31,014 images",
    ),
    "audiocaps": Source(
        "academic use; the clips are their uploaders'",
        "captions: github.com/cdjkim/audiocaps; clips: YouTube",
        "about 10 to 30 GB as stored, 51,308 clips of 10 s",
    ),
    "clotho": Source(
        "Tampere University licence (non-commercial) for captions, Creative Commons by clip",
        "Zenodo, record 4783391 (v2.1)",
        "about 7 GB packed, 5,929 clips of 15 to 30 s",
    ),
    "msrvtt": Source(
        "none stated; the videos are their uploaders'",
        "as prepared for CLIP4Clip (MSRVTT.zip and msrvtt_data.zip)",
        "about 6 GB, 10,000 videos",
    ),
    "msvd": Source(
        "research; the videos are their uploaders'",
        "University of Texas (YouTubeClips); captions as prepared for CLIP4Clip",
        "about 2 GB, 1,970 videos",
    ),
}

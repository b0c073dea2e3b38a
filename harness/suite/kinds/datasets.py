"""Datasets: generated, recorded, and your own."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from harness.contract.entry import WHOLE, Argument, Entry

SIZES = {
    "train": Argument(int, 8000, **WHOLE),
    "validation": Argument(int, 500, **WHOLE),
    "test": Argument(int, 1000, **WHOLE),
    "seed": Argument(int, 0, at_least=0, at_most=2**32 - 1),
}

BROKEN = {"broken": Argument(float, 0.01, at_least=0, at_most=1)}  # the share of files that may be undecodable

DATASETS = [
    Entry(
        "soundscapes",
        "harness.data.datasets.soundscapes:Soundscapes",
        SIZES,
        about="two or three ordered events in 4 s of sound",
        modalities=("audio",),
        generated=True,
    ),
    Entry(
        "shapes",
        "harness.data.datasets.shapes:Shapes",
        SIZES,
        about="two or three coloured, textured shapes and how they stand to each other",
        modalities=("image",),
        generated=True,
    ),
    Entry(
        "motions",
        "harness.data.datasets.motions:Motions",
        SIZES,
        about="shapes that move, turn, grow and meet",
        modalities=("video",),
        generated=True,
    ),
    Entry(
        "coco",
        "harness.data.datasets.coco:Coco",
        {
            "protocol": Argument(Literal["5k", "1k"], "5k"),  # the whole gallery, or five folds of 1,000
            "captions": Argument(Literal["five", "all"], "five"),  # of an image in validation and test
            **BROKEN,
        },
        about="photographs, five captions each; Karpathy's split",
        modalities=("image",),
        folder="coco",
        obtain="images and annotations from cocodataset.org, split file dataset_coco.json by Karpathy; annotations "
        "CC BY 4.0, images under Flickr's terms",
        folds={"1k": 5},
    ),
    Entry(
        "flickr30k",
        "harness.data.datasets.flickr30k:Flickr30k",
        BROKEN,
        about="photographs, five captions each; Karpathy's split",
        modalities=("image",),
        folder="flickr30k",
        obtain="request the images from the University of Illinois, split file dataset_flickr30k.json by Karpathy; "
        "non-commercial research",
    ),
    Entry(
        "audiocaps",
        "harness.data.datasets.audiocaps:AudioCaps",
        {"version": Argument(Literal["v1", "v2"], "v1"), "clips": Argument(Path, None), **BROKEN},
        about="ten seconds of sound, five captions each in test; `clips`: a file of the ids that make up the test",
        modalities=("audio",),
        folder="audiocaps",
        obtain="captions from github.com/cdjkim/audiocaps, clips from YouTube; academic use",
    ),
    Entry(
        "clotho",
        "harness.data.datasets.clotho:Clotho",
        BROKEN,
        about="15 to 30 seconds of sound, five captions each",
        modalities=("audio",),
        folder="clotho",
        obtain="clips and captions from Zenodo, record 4783391 (v2.1); Tampere University licence",
    ),
    Entry(
        "msrvtt",
        "harness.data.datasets.msrvtt:MsrVtt",
        {"protocol": Argument(Literal["1k-a", "1k-a-7k", "full"], "1k-a"), **BROKEN},
        about="short videos; 1k-a: trained on 9,000 (or 7,000), one caption each in test; full: twenty",
        modalities=("video",),
        folder="msrvtt",
        obtain="videos and MSRVTT_data.json as prepared for CLIP4Clip; no licence stated",
    ),
    Entry(
        "msvd",
        "harness.data.datasets.msvd:Msvd",
        BROKEN,
        about="short videos, about forty captions each",
        modalities=("video",),
        folder="msvd",
        obtain="videos from the University of Texas (YouTubeClips), captions as prepared for CLIP4Clip",
    ),
    Entry(
        "manifest",
        "harness.data.datasets.manifest:Manifest",
        {
            "path": Argument(Path),
            "modality": Argument(Literal["image", "audio", "video"]),
            "media": Argument(str, ""),
            "vectors": Argument(Path, None),
            "split": Argument(dict[str, float], {}, at_least=0),
            "columns": Argument(dict[str, str | list[str]], {}),
            **BROKEN,
            "allow_outside": Argument(bool, False),
            "rate": Argument(int, 16_000, at_least=1000, at_most=384_000),
            "frames": Argument(int, 8, at_least=1, at_most=1000),
            "longest_s": Argument(float, 600.0, above=0, at_most=86_400, later=True),  # of sound and video
        },
        about="your own files or vectors: a CSV or JSONL of paths and captions or labels",
    ),
]

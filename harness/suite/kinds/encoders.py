"""Encoders: trained here, or with weights from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from harness.contract.entry import FRAMES, PRECISION, Argument, Entry

ENCODERS = [
    Entry(
        "small",
        "baselines.encoders.small:SmallEncoder",
        {
            "trained_on": Argument("dataset"),
            "modality": Argument(Literal["image", "audio", "video"], None),
            "steps": Argument(int, 500, at_least=1, at_most=1_000_000),
            "batch": Argument(int, 256, at_least=2, at_most=65_536),
            "dim": Argument(int, 256, at_least=8, at_most=4096),
            "lr": Argument(float, 1e-3, above=0, at_most=1),
            "patience": Argument(int, 3, at_least=0, at_most=100),
        },
        about="a text transformer and a CNN, trained here from scratch; after half of the steps training ends once "
        "validation has not gained for `patience` tenths of them (0: never)",
        version=3,
    ),
    Entry(
        "open_clip",
        "baselines.encoders.open_clip:OpenClipEncoder",
        {"pretrained": Argument(Path, hub=True), "architecture": Argument(str, None), **FRAMES, **PRECISION},
        about="any architecture of open_clip: a pretrained tag, a file of weights, a folder, or hf-hub:org/name",
        modalities=("image", "video"),
        seeded=False,
        requires=("open_clip", "torchvision"),
        install="python -m pip install 'open_clip_torch>=2.24,<4' torchvision",
    ),
    Entry(
        "clip",
        "baselines.encoders.clip:ClipEncoder",
        {"checkpoint": Argument(Path, hub=True), **FRAMES, **PRECISION},
        about="a CLIP or SigLIP checkpoint of transformers, a folder or a hub id",
        modalities=("image", "video"),
        seeded=False,
    ),
    Entry(
        "clap",
        "baselines.encoders.clap:ClapEncoder",
        {"checkpoint": Argument(Path, hub=True), **PRECISION},
        about="a CLAP checkpoint of transformers, a folder or a hub id",
        modalities=("audio",),
        seeded=False,
    ),
    Entry(
        "laion_clap",
        "baselines.encoders.laion_clap:LaionClapEncoder",
        {
            "checkpoint": Argument(Path),
            "architecture": Argument(str, "HTSAT-tiny"),
            "fusion": Argument(bool, False),
            **PRECISION,
        },
        about="LAION's own CLAP package and its .pt checkpoints",
        modalities=("audio",),
        seeded=False,
        requires=("laion_clap", "torchvision"),
        install="python -m pip install 'laion-clap>=1.1.4,<2' 'numpy<2' torchvision, in an environment of its own",
    ),
    Entry(
        "sentence_transformers",
        "baselines.encoders.sentences:SentenceEncoder",
        {
            "checkpoint": Argument(Path, hub=True),
            "media": Argument("encoder", None),
            "pooling": Argument(Literal["mean", "cls", "last", "max"], None),
            "prompt": Argument(str, None),
            **PRECISION,
        },
        about="texts by a sentence encoder: a folder of sentence-transformers, or a checkpoint of transformers with "
        "`pooling`; media by the encoder that `media` names, precomputed vectors say",
        seeded=False,
    ),
    Entry(
        "precomputed",
        "baselines.encoders.precomputed:PrecomputedEncoder",
        {
            "media": Argument(Path, None),
            "text": Argument(Path, None),
            "media_names": Argument(Path, None),
            "text_names": Argument(Path, None),
            "split": Argument(str, None),
        },
        about="vectors made elsewhere, .npy, .npz or .safetensors, looked up: what encoding costs is not in its rates",
        version=2,
        seeded=False,
        closed=True,
    ),
]

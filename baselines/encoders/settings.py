"""What can be configured of the encoders: trained here, or with weights from elsewhere. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from harness.contract.entry import Entry
from harness.contract.settings import (
    MEDIA_SIDE,
    TEXT_SIDE,
    Checkpoint,
    Conflict,
    DatasetName,
    EncoderName,
    Frames,
    Medium,
    Precision,
    Rate,
    Settings,
    Steps,
)


class SmallEncoderSettings(Settings):
    trained_on: DatasetName = Field(description="whose train split it learns from")
    modality: Medium | None = Field(None, description="the medium that it is for, for who reads the suite")
    steps: Steps = 500
    batch: int = Field(256, ge=2, le=65_536, description="pairs in a step")
    dim: int = Field(256, ge=8, le=4096, description="of a vector")
    lr: Rate = 1e-3
    patience: int = Field(3, ge=0, le=100, description="tenths of the steps without a gain that end training; 0: none")
    pixels: int = Field(96, ge=16, le=512, description="at most that it sees along a side: larger pictures are shrunk")
    width: Literal[24, 48, 96, 192, 384] = Field(192, description="of the layers of both towers")
    later = frozenset({"pixels", "width"})


SMALL = Entry(
    "baselines.encoders.small:SmallEncoder",
    SmallEncoderSettings,
    about="a text transformer and a CNN, trained here from scratch; after half of the steps training ends once "
    "validation has not gained for `patience` tenths of them (0: never)",
    version=3,
    needs=("seed", "store"),
    offers=(TEXT_SIDE, MEDIA_SIDE),
)


class OpenClipSettings(Settings):
    pretrained: Checkpoint = Field(description="a tag, a file of weights, a folder, or hf-hub:org/name")
    architecture: str | None = Field(None, description="of a tag or a file: ViT-B-32, …")
    frames: Frames = 8
    precision: Precision = "fp32"


OPEN_CLIP = Entry(
    "baselines.encoders.open_clip:OpenClipEncoder",
    OpenClipSettings,
    about="any architecture of open_clip: a pretrained tag, a file of weights, a folder, or hf-hub:org/name",
    version=2,
    modalities=("image", "video"),
    seeded=False,
    requires=("open_clip", "torchvision"),
    install="python -m pip install 'open_clip_torch>=2.24,<4' torchvision",
)


class ClipSettings(Settings):
    checkpoint: Checkpoint = Field(description="of CLIP or SigLIP")
    frames: Frames = 8
    precision: Precision = "fp32"


CLIP = Entry(
    "baselines.encoders.clip:ClipEncoder",
    ClipSettings,
    about="a CLIP or SigLIP checkpoint of transformers, a folder or a hub id",
    modalities=("image", "video"),
    seeded=False,
    offers=(TEXT_SIDE,),
)


class ClapSettings(Settings):
    checkpoint: Checkpoint = Field(description="of CLAP")
    precision: Precision = "fp32"


CLAP = Entry(
    "baselines.encoders.clap:ClapEncoder",
    ClapSettings,
    about="a CLAP checkpoint of transformers, a folder or a hub id",
    modalities=("audio",),
    seeded=False,
    offers=(TEXT_SIDE,),
)


class LaionClapSettings(Settings):
    checkpoint: Path = Field(description="a .pt file")
    architecture: str = Field("HTSAT-tiny", description="of the audio tower")
    fusion: bool = Field(False, description="the checkpoint fuses long sounds; needs torchaudio")
    precision: Precision = "fp32"


LAION_CLAP = Entry(
    "baselines.encoders.laion_clap:LaionClapEncoder",
    LaionClapSettings,
    about="LAION's own CLAP package and its .pt checkpoints",
    modalities=("audio",),
    seeded=False,
    requires=("laion_clap", "torchvision"),
    install="python -m pip install 'laion-clap>=1.1.4,<2' 'numpy<2' torchvision, in an environment of its own",
)


class SentencesSettings(Settings):
    checkpoint: Checkpoint = Field(description="in the layout of sentence-transformers, or with `pooling`")
    media: EncoderName | None = Field(None, description="the encoder whose vectors of media share its space")
    pooling: Literal["mean", "cls", "last", "max"] | None = Field(None, description="of a plain checkpoint")
    prompt: str | None = Field(None, description="stands before each text")
    precision: Precision = "fp32"


SENTENCES = Entry(
    "baselines.encoders.sentences:SentenceEncoder",
    SentencesSettings,
    about="texts by a sentence encoder: a folder of sentence-transformers, or a checkpoint of transformers with "
    "`pooling`; media by the encoder that `media` names, precomputed vectors say",
    seeded=False,
    needs=("media",),
    offers=(TEXT_SIDE,),
)


class PrecomputedSettings(Settings):
    media: Path | None = Field(None, description="vectors of media")
    text: Path | None = Field(None, description="vectors of texts")
    media_names: Path | None = Field(None, description="a JSON list: whose the rows of `media` are")
    text_names: Path | None = Field(None, description="a JSON list: whose the rows of `text` are")
    split: str | None = Field(None, description="that rows without names are of")

    @model_validator(mode="after")
    def _something(self) -> PrecomputedSettings:
        if self.media is None and self.text is None:
            raise Conflict(
                "kind",
                "neither `media` nor `text` is given; expected a file of vectors for each side that is asked; name one",
            )
        return self


PRECOMPUTED = Entry(
    "baselines.encoders.precomputed:PrecomputedEncoder",
    PrecomputedSettings,
    about="vectors made elsewhere, .npy, .npz or .safetensors, looked up: what encoding costs is not in its rates",
    version=2,
    needs=("reveal",),
    seeded=False,
    closed=True,
)

"""What can be configured of the captioners: trained here, pretrained, or a file. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from harness.contract.entry import Entry
from harness.contract.settings import (
    LIKELIHOOD,
    MEDIA_SIDE,
    TEXT_SIDE,
    Checkpoint,
    DatasetName,
    EncoderName,
    Rate,
    Settings,
    Steps,
)

Samples = Annotated[int, Field(ge=1, le=10_000, description="captions of each item")]
Temperature = Annotated[float, Field(gt=0, le=100, description="of sampling: higher is more varied")]


class TellerSettings(Settings):
    """Of captioners that are trained here."""

    searching = frozenset({"samples", "temperature"})
    steps: Steps = 400
    items: int = Field(64, ge=1, le=65_536, description="in a step")
    texts: int = Field(4, ge=1, le=100, description="of each item in a step")
    lr: Rate = 1e-3
    samples: Samples = 30
    temperature: Temperature = 1.0


class SmallCaptionerSettings(TellerSettings):
    encoder: EncoderName = Field(description="whose media tower it starts from")

    def wants(self) -> Mapping[str, str]:
        return {"encoder": MEDIA_SIDE}


SMALL = Entry(
    "baselines.captioners.small:SmallCaptioner",
    SmallCaptionerSettings,
    about="describes what a small encoder perceives; trained here, on what the encoder was trained on",
    version=3,
    needs=("encoder", "seed"),
    offers=(LIKELIHOOD, TEXT_SIDE),
)


class PrefixCaptionerSettings(TellerSettings):
    encoder: EncoderName = Field(description="whose vectors it describes: any that embeds media")
    trained_on: DatasetName = Field(description="from whose train split it learns to")
    prefix: int = Field(8, ge=1, le=256, description="states that a vector becomes")
    width: int = Field(192, ge=48, le=4096, multiple_of=48, description="of the decoder")


PREFIX = Entry(
    "baselines.captioners.prefix:PrefixCaptioner",
    PrefixCaptionerSettings,
    about="describes the vectors of any encoder; a small decoder is trained here",
    version=2,
    needs=("encoder", "seed"),
    offers=(LIKELIHOOD, TEXT_SIDE),
)


class FileCaptionerSettings(Settings):
    path: Path = Field(description="a JSON object a line: item and captions")
    samples: Samples | None = Field(None, description="of each item, the first ones; all unless given")


FILE = Entry(
    "baselines.captioners.file:FileCaptioner",
    FileCaptionerSettings,
    about="captions written elsewhere, a JSON object a line: item and captions; audited against the real ones",
    needs=("reveal",),
    seeded=False,
)


class PretrainedCaptionerSettings(Settings):
    checkpoint: Checkpoint = Field(description="that captions images without a prompt")
    samples: Samples = 10
    temperature: Temperature = 1.0
    max_words: int = Field(24, ge=1, le=1000, description="of a caption")


PRETRAINED = Entry(
    "baselines.captioners.pretrained:PretrainedCaptioner",
    PretrainedCaptionerSettings,
    about="an image captioning checkpoint of transformers, a folder or a hub id; frames stand for a video",
    modalities=("image", "video"),
    needs=("seed",),
)

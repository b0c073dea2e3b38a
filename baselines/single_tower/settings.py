"""What can be configured of the single towers. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from harness.contract.entry import Entry
from harness.contract.settings import LIKELIHOOD, MEDIA_SIDE, PAIRS, Checkpoint, Precision, Rate, Settings


class LikelihoodSettings(Settings):
    def wants(self) -> Mapping[str, str]:
        return {"captioner": LIKELIHOOD}


LIKELIHOOD_ENTRY = Entry(
    "baselines.single_tower.likelihood:Likelihood",
    LikelihoodSettings,
    about="scores every pair by the captioner's log p(query given the candidate)",
    paradigm="single-tower",
    needs=("captioner",),
    offers=(PAIRS,),
    asks=("text",),
)


class MatchSettings(Settings):
    steps: int = Field(600, ge=0, le=1_000_000, description="of training; 0 leaves the dual tower's cosine as it is")
    items: int = Field(64, ge=2, le=65_536, description="in a step")
    negatives: int = Field(5, ge=1, le=1000, description="wrong candidates of each text")
    lr: Rate = 1e-3
    layers: int = Field(1, ge=1, le=24, description="in which words look at patches")

    def wants(self) -> Mapping[str, str]:
        return {"encoder": MEDIA_SIDE}


MATCH = Entry(
    "baselines.single_tower.match:Match",
    MatchSettings,
    about="scores every pair with a joint transformer over words and patches, trained here with hard negatives",
    version=2,
    paradigm="single-tower",
    needs=("encoder", "seed"),
    offers=(PAIRS,),
    asks=("text",),
    tiny={"steps": 2, "items": 8, "negatives": 3},
)


class PretrainedSettings(Settings):
    later = frozenset({"precision"})
    checkpoint: Checkpoint = Field(description="of BLIP or ViLT")
    precision: Precision = "fp32"  # write that of the encoders beside it: rates in two precisions can't be compared


PRETRAINED = Entry(
    "baselines.single_tower.pretrained:Pretrained",
    PretrainedSettings,
    about="scores every pair with a checkpoint of transformers, BLIP's image-text matching or ViLT, a folder or a hub "
    "id; frames stand for a video",
    seeded=False,
    modalities=("image", "video"),
    paradigm="single-tower",
    offers=(PAIRS,),
    asks=("text",),
)

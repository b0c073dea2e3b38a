"""How a kind says what can be configured: one frozen class of settings, which is the schema of suites, the text of
`list` and what the constructor takes. Each field has a type, bounds, a default and a sentence; none of it stands
anywhere else. Modules that hold such a class import no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Section = Literal["retrievers", "datasets", "encoders", "captioners"]
SECTIONS: tuple[Section, ...] = ("retrievers", "datasets", "encoders", "captioners")


class Settings(BaseModel):
    """All that a suite may write beside `kind`. A list in place of a retriever's value makes a variant for each member.

    What can't go together is refused by a validator that raises `Conflict`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    # Fields that came when suites had been run already: their defaults leave digests as they were.
    later: ClassVar[frozenset[str]] = frozenset()
    # Settings of its use alone, such as beams of a search or captions of an item: what is learnt and indexed is the
    # same whatever they say, and made once for all.
    searching: ClassVar[frozenset[str]] = frozenset()

    def crowd(self, split: str, size: int) -> str | None:
        """A dataset's: why its split can't be one of `size` candidates, as the end of a sentence; None where it can."""
        return (
            "has the candidates that it has; expected a generated dataset, which can make more; remove `gallery`, or "
            "ask another dataset"
        )

    @classmethod
    def digested(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Of given settings those that shape digests."""
        fields = cls.model_fields
        return {key: value for key, value in given.items() if key not in cls.later or value != fields[key].default}

    def wants(self) -> Mapping[str, str]:
        """What each of `Entry.needs` must offer, by name."""
        return {}


class Conflict(ValueError):
    """Settings that can't go together: the key to look at, and what was found, what was expected, what to do."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key


class Names(NamedTuple):
    """Marks a field that names another component of the suite, or a kind, or holds a component written in place."""

    section: Section

    def __get_pydantic_json_schema__(self, schema: Any, rest: Any) -> dict[str, Any]:
        return {**rest(schema), "section": self.section}


DatasetName = Annotated[str, Names("datasets")]
EncoderName = Annotated[str, Names("encoders")]
CaptionerName = Annotated[str, Names("captioners")]
RetrieverName = Annotated[str, Names("retrievers")]

# Not a path's name but what lies there shapes digests; a relative one is seen from the suite's file.
HUB = "a path or a hub id"
# A path, or the name of a checkpoint that lies elsewhere.
Checkpoint = Annotated[Path, Field(json_schema_extra={"hub": True})]

# Types that several kinds share.
Medium = Literal["image", "audio", "video"]
Paradigm = Literal["single-tower", "dual-tower", "generative", "hybrid", "control"]
PARADIGMS: tuple[Paradigm, ...] = get_args(Paradigm)
Precision = Annotated[Literal["fp32", "bf16"], Field(description="of the weights and their products")]
Frames = Annotated[int, Field(ge=1, le=1000, description="of a video")]
Count = Annotated[int, Field(ge=1, le=50_000_000)]
Steps = Annotated[int, Field(ge=1, le=1_000_000, description="of training")]
Rate = Annotated[float, Field(gt=0, le=1, description="the highest learning rate")]
Temperature = Annotated[
    float, Field(gt=0, le=100, description="of the teacher's scores: above 1 less likely candidates count for more")
]


# What a retriever can choose, and which values it may try.
TRIED: Mapping[str, Callable[[float], bool]] = {
    "lr": lambda value: 0 < value <= 1,
    "steps": lambda value: value >= 0 and value == int(value),
    "temperature": lambda value: 0 < value <= 100,
}


def _tries(tries: dict[str, list[float]]) -> dict[str, list[float]]:
    for name, values in tries.items():
        if name not in TRIED or not values or not all(map(TRIED[name], values)):
            raise Conflict(
                "tune",
                f"tune: {name}: {values}; expected `lr` with rates above 0, `steps` with whole numbers from 0, or "
                "`temperature` with numbers above 0; correct it",
            )
    return tries


# Settings that a retriever chooses on the validation gallery: by name, the values to try. See `harness/nn/choosing.py`.
Tries = Annotated[
    dict[str, list[float]],
    AfterValidator(_tries),
    Field(description="{lr: [0.0003, 0.001], steps: [0, 100]}: all are tried on validation, and the best is taken"),
]


# What a kind may offer, and `Settings.wants` may ask for.
TEXT_SIDE = "a text side"  # `text_tower`
MEDIA_SIDE = "the towers of the small encoder"
LIKELIHOOD = "the likelihood of a text"
PAIRS = "scores of single pairs"
TUNED = "vectors tuned to the gallery"

"""What tests hand to contestants: a tiny dataset of each medium, and instruments trained on it for a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from baselines.captioners.settings import SmallCaptionerSettings
from baselines.captioners.small import SmallCaptioner
from baselines.encoders.settings import SmallEncoderSettings
from baselines.encoders.small import SmallEncoder
from harness.contest.asking import in_memory
from harness.contract.dataset import Contents, Pairs
from harness.contract.instruments import Encoder
from harness.data.datasets.generated import Generated
from harness.suite.registry import kinds

WORLDS: Mapping[str, str] = {"audio": "soundscapes", "image": "shapes", "video": "motions"}
FEW = 40  # candidates, and queries of a direction that asks with media


@dataclass(frozen=True)
class Kit:
    """One medium: data, and the instruments that a retriever may ask for."""

    dataset: Generated
    encoder: SmallEncoder
    asked: dict[str, Pairs] = field(default_factory=dict)

    @cached_property
    def captioner(self) -> SmallCaptioner:
        """Made when the first test asks for it."""
        captioner = SmallCaptioner(
            SmallCaptionerSettings(steps=3, items=8, texts=2, lr=1e-3, samples=4, temperature=1.0, encoder="tiny"),
            encoder=self.encoder,
            seed=0,
        )
        captioner.fit(*self.training(f"text-{self.dataset.modality}"))
        captioner.digest = f"tiny-captioner-{self.dataset.modality}"
        return captioner

    def training(self, direction: str) -> tuple[Pairs, Pairs]:
        return self.dataset.split("train").pairs(direction), self.dataset.split("validation").pairs(direction)

    def test(self, direction: str) -> Pairs:
        """Queries, gallery and links of the test split, drawn once."""
        if direction not in self.asked:
            pairs = self.dataset.split("test").pairs(direction)
            self.asked[direction] = Pairs(in_memory(pairs.queries), in_memory(pairs.candidates), pairs.links)
        return self.asked[direction]


class Remembered:
    """The door that the runner gives an encoder to the store, with a dictionary behind it."""

    def __init__(self) -> None:
        self.vectors: dict[str, np.ndarray] = {}

    def __call__(self, encoder: Encoder, contents: Contents) -> np.ndarray:
        if contents.digest not in self.vectors:
            vectors = encoder.encode(contents)
            vectors.flags.writeable = False  # as those that come from the store are
            self.vectors[contents.digest] = vectors
        return self.vectors[contents.digest]


def generated(kind: str, **settings: int) -> Generated:
    entry = kinds("datasets")[kind]
    dataset: Generated = entry.load("datasets")(entry.settings(**settings))
    return dataset


def untrained(seed: int = 0, steps: int = 5) -> SmallEncoder:
    return SmallEncoder(
        SmallEncoderSettings(steps=steps, batch=32, dim=16, lr=1e-3, trained_on="tiny", patience=0), seed=seed
    )


def train_tiny(modality: str) -> Kit:
    dataset = generated(WORLDS[modality], train=64, validation=16, test=FEW)
    encoder = untrained()
    encoder.fit(dataset.split("train").pairs(f"text-{modality}"), dataset.split("validation").pairs(f"text-{modality}"))
    encoder.digest = f"tiny-{modality}"
    encoder.stored = Remembered()
    return Kit(dataset, encoder)

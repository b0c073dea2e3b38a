"""What contestants may be handed: encoders and captioners, each named once in a suite and shared by all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness.dataset import Contents, Modality, Pairs


class Instrument(ABC):
    """Something trained or loaded once, then used by many."""

    digest: str = ""  # names it and everything that shaped it; set by who prepared it
    parameters: int = 0

    def fit(self, train: Pairs, validation: Pairs) -> None:  # noqa: B027  a pretrained one has nothing to learn
        """Learn from text-to-media pairs; choose on `validation` what has to be chosen."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Plain tensors and JSON, never pickled code."""

    @abstractmethod
    def load(self, folder: Path) -> None: ...


class Encoder(Instrument):
    """Maps contents of several modalities into one space, where a high inner product means a match."""

    dim: int
    modalities: tuple[Modality, ...]
    # Given by the runner: finds or makes the stored vectors of contents that are embedded ahead of time.
    stored: Callable[[Encoder, Contents], np.ndarray] | None = None

    @abstractmethod
    def encode(self, contents: Contents) -> np.ndarray:
        """float32 [n, dim], rows of unit length. Computed at every call: this is what a search may use."""

    def embed(self, contents: Contents) -> np.ndarray:
        """The same, remembered: for galleries and training sets, never for the queries of a search."""
        return self.stored(self, contents) if self.stored else self.encode(contents)


class TokenEncoder(Encoder):
    """An encoder whose states before pooling can be had too."""

    @abstractmethod
    def tokens(self, contents: Contents) -> tuple[np.ndarray, np.ndarray]:
        """float32 [n, length, width] and bool [n, length], true where a state stands."""


class Captioner(Instrument):
    """Describes media in words; it sees the media alone."""

    @abstractmethod
    def describe(self, contents: Contents, samples: int, seed: int) -> list[list[str]]:
        """`samples` texts for each of the contents."""

    def likelihood(self, queries: Contents, contents: Contents, pairs: np.ndarray) -> np.ndarray:
        """float32 [pairs]: log p(text of query | media), for int64 [pairs, 2] of (query, content) positions."""
        raise NotImplementedError(f"{type(self).__name__} can't say how likely a text is")


Config = dict[str, Any]

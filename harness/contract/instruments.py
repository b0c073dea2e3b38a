"""The instruments that contestants share: encoders and captioners, each named once in a suite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from harness.contract.dataset import Contents, Modality, Pairs

if TYPE_CHECKING:
    import torch

    from harness.machine.compute import Precision


def unsealed(contents: Contents) -> Contents:
    """`reveal` where nothing is sealed: outside a run."""
    return contents


class Instrument(ABC):
    """Something trained or loaded once, then used by many."""

    digest: str = ""  # names it and everything that shaped it; set by the builder
    parameters: int = 0

    def fit(self, train: Pairs, validation: Pairs) -> None:  # noqa: B027  a pretrained one has nothing to learn
        """Learn from text-to-media pairs; choose on `validation` what has to be chosen."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Plain tensors and JSON, never pickled code."""

    @abstractmethod
    def load(self, folder: Path) -> None: ...

    def details(self) -> Mapping[str, Any]:
        """How it was made, as plain values: for the records of all cells that use it."""
        return {}


class Encoder(Instrument):
    """Maps contents of several modalities into one space, where a high inner product means a match."""

    dim: int
    modalities: tuple[Modality, ...]
    precision: Precision = "fp32"  # of a search: those with a text side of their own search in the same
    # Given by the runner: finds or makes the stored vectors of contents that are embedded ahead of time.
    stored: Callable[[Encoder, Contents], np.ndarray] | None = None

    @abstractmethod
    def encode(self, contents: Contents) -> np.ndarray:
        """float32 [n, dim], rows of unit length. Computed at every call: this is what a search may use."""

    def embed(self, contents: Contents) -> np.ndarray:
        """The same, stored: for galleries and training sets, never for the queries of a search."""
        return self.stored(self, contents) if self.stored else self.encode(contents)

    def ahead(self, contents: Contents) -> Callable[[slice], np.ndarray]:
        """Encodes any part of contents that are embedded ahead of time: `embed` calls it for what isn't stored yet.

        Unlike `encode` it may keep what it works out on the way, for others who need it too.
        """
        return lambda part: self.encode(contents[part])

    def text_tower(self) -> TextTower:
        """A copy of the text side as a module, to train further. Not every encoder has one."""
        raise NotImplementedError(f"{type(self).__name__} offers no text side")


class TokenEncoder(Encoder):
    """An encoder that also gives its states before pooling."""

    @abstractmethod
    def tokens(self, contents: Contents) -> tuple[np.ndarray, np.ndarray]:
        """float32 [n, length, width] and bool [n, length], true where a state stands."""


class TextTower(Protocol):
    """The text side of an encoder as a module: a copy, free to be trained further."""

    layers: int
    width: int  # of the states
    dim: int  # of the vector

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        """int64 [n, length], 0 where nothing stands; the first is never 0."""

    def layered(self, tokens: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """The states after each layer, [n, length, width] each, and the vectors of unit length, [n, dim]."""


class Captioner(Instrument):
    """Describes media in words; it sees the media alone, so that it leaks no real caption."""

    samples: int  # texts for each of the contents
    audited: bool = False  # its texts were written elsewhere: the run compares them with the real captions
    # Given by the runner: finds or makes the stored captions of contents.
    stored: Callable[[Captioner, Contents], list[list[str]]] | None = None

    @abstractmethod
    def describe(self, contents: Contents) -> list[list[str]]:
        """`samples` texts for each of the contents."""

    def captions(self, contents: Contents) -> list[list[str]]:
        """The same, stored."""
        return self.stored(self, contents) if self.stored else self.describe(contents)

    def prepare(self, contents: Contents) -> Any:
        """What `likelihood` needs of media, computed once for many queries."""
        raise NotImplementedError(f"{type(self).__name__} can't say how likely a text is")

    def likelihood(self, texts: Sequence[str], prepared: Any, pairs: np.ndarray) -> np.ndarray:
        """float32 [pairs]: log p(text | media), for int64 [pairs, 2] of (text, prepared medium)."""
        raise NotImplementedError(f"{type(self).__name__} can't say how likely a text is")

    def text_tower(self, dim: int) -> TextTower:
        """A copy of its text side as a module that gives vectors of this size, to train further."""
        raise NotImplementedError(f"{type(self).__name__} offers no text side")

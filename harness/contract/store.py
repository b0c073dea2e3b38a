"""The store of what is expensive to make, as a contestant sees it: one that asks for `store` is handed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from harness.machine import files


@dataclass(frozen=True)
class Recipe:
    """What an artifact is made from. Equal recipes give equal artifacts."""

    kind: str  # encoder, embeddings, captions, identifiers, retriever, …
    label: str  # for people: which one
    config: Mapping[str, Any]  # plain values: settings, versions, seed, digests of data and of parents

    @property
    def what(self) -> str:
        """For people."""
        return f"{self.kind} {self.label}"

    @cached_property
    def digest(self) -> str:
        return files.digest({"kind": self.kind, "config": self.config})


@dataclass(frozen=True)
class Artifact:
    folder: Path
    manifest: Mapping[str, Any]


class Store(Protocol):
    def make(self, recipe: Recipe, build: Callable[[Path], None], needs: int = 0) -> Artifact:
        """The artifact of this recipe: found, or built once into an empty folder."""

    def carry(self, seconds: float) -> None:
        """Book what an attempt that was cut off had spent on what this one took up from its checkpoint."""

"""The store of expensive artifacts, as contestants see it: those that need `store` get it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from harness.machine import files


@dataclass(frozen=True)
class Recipe:
    """All that shapes an artifact. Equal recipes give equal artifacts."""

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
        """Book the seconds that an interrupted run had spent on the checkpoint that this one resumed."""

"""What may be timed, and how. A new scenario is a class here and a function in `harness.contest.scenarios`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, ValidationInfo, field_validator, model_validator

from harness.contract.settings import Conflict, Settings

Queries = Annotated[int, Field(ge=1, le=10_000_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Offline(Settings):
    """All queries at once: throughput."""

    rounds: int = Field(5, ge=1, le=1000)
    cap_s: Seconds = 60.0
    processes: int = Field(1, ge=1, le=100, description="that time the same contest, one after the other")

    later: ClassVar[frozenset[str]] = frozenset({"processes"})


class Single(Settings):
    """One query after the other: latency."""

    queries: Queries = 200
    cap_s: Seconds = 30.0


class Batch(Settings):
    """Batches of a few sizes: rate and latency of each. `batch: [8, 32]` is short for `batch: {sizes: [8, 32]}`."""

    sizes: list[Annotated[int, Field(ge=1, le=65_536)]] = [8, 32, 128]
    queries: Queries = 1024
    cap_s: Seconds = 30.0

    @field_validator("sizes")
    @classmethod
    def _each_once(cls, sizes: list[int]) -> list[int]:
        if not sizes or len(set(sizes)) < len(sizes):
            raise Conflict("sizes", f"batch.sizes is {sizes}; expected at least one size, and each once; correct it")
        return sorted(sizes)


class Server(Settings):
    """Queries arrive by chance, so many a second: latency under load, from the moment at which each was due."""

    rates: list[Annotated[float, Field(gt=0, le=1e6)]] = Field([], description="queries a second")
    shares: list[Annotated[float, Field(gt=0, le=10)]] = Field([0.5, 0.8], description="of its own offline rate")
    queries: Queries = 1000
    at_once: int = Field(32, ge=1, le=65_536, description="the most that are asked together, of those that wait")
    bound_ms: float | None = Field(None, gt=0, description="finds the rate at which p99 stays below it")
    cap_s: Seconds = 10.0

    @field_validator("rates", "shares")
    @classmethod
    def _each_once(cls, values: list[float], info: ValidationInfo) -> list[float]:
        if len(set(values)) < len(values):
            key = str(info.field_name)
            raise Conflict(key, f"server.{key} is {values}; expected each number once; remove the others")
        return sorted(values)

    @model_validator(mode="after")
    def _some(self) -> Server:
        if not self.rates and not self.shares:
            raise Conflict(
                "shares", "server has neither rates nor shares; expected some; write for instance shares: [0.5]"
            )
        return self


class Memory(Settings):
    """What searching takes of host and device memory, in a fresh process for each retriever."""

    queries: Queries = 64


SCENARIOS: Mapping[str, type[Settings]] = {
    "offline": Offline,
    "single": Single,
    "batch": Batch,
    "server": Server,
    "memory": Memory,
}
USUAL = ("offline", "single")  # where a suite says nothing

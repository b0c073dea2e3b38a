"""What making things has cost: on this machine, as its store knows, and elsewhere, as `costs.json` beside a suite says.

`python -m harness.contest.costs CACHE SUITE …` writes a `costs.json` from a store.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from harness.suite.spec import INSTRUMENTS, Cell, Component, Suite

FILE = "costs.json"


class Need(NamedTuple):
    """A component and its instruments: digests. What it costs depends on no name."""

    component: str
    encoder: str | None
    captioner: str | None
    seed: int


class Cost(NamedTuple):
    """Of one artifact."""

    seconds: float
    memory_mb: float | None = None  # how far memory rose
    disk_mb: float | None = None


@dataclass(frozen=True)
class Known:
    """What an earlier making of the same took."""

    seed: int
    kind: str  # of component: `cart`
    seen: float | None  # texts that it saw in training, all its tries together
    own: str  # the artifact that is its own
    artifacts: Mapping[str, Cost]  # all that it had to make: "encoder/0123…", its own included
    gflops: float | None  # of the machine, in training


# -- what a cell needs -------------------------------------------------------------------------------------------------


def needs(cell: Cell) -> Iterator[tuple[Need, str, Component]]:
    """All that has to be made for a cell, a name for each, and the component."""
    tools = {"encoder": cell.encoder, "captioner": cell.captioner}
    for tool in tools.values():
        yield from _instruments(tool, cell.seed)
    yield from _retrievers(cell.retriever.component, cell.retriever.name, tools, cell.seed)


def _instruments(component: Component | None, seed: int) -> Iterator[tuple[Need, str, Component]]:
    if component is None or component.section == "datasets":
        return
    seed = seed if component.entry.seeded else 0
    for inner in component.inside:
        yield from _instruments(inner, seed)
    label = f"{component.section.removesuffix('s')} {component.name}"
    yield Need(component.made.digest, None, None, seed), label, component


def _retrievers(
    component: Component, label: str, tools: Mapping[str, Component | None], seed: int
) -> Iterator[tuple[Need, str, Component]]:
    tools = {**tools, **component.instruments}
    for inner in component.arguments.values():
        if isinstance(inner, Component) and inner.section == "retrievers":
            yield from _retrievers(inner, inner.name, tools, seed)
    injected = [tools.get(name) if name in component.entry.needs else None for name in INSTRUMENTS]
    encoder, captioner = (used.made.digest if used else None for used in injected)
    need = Need(component.made.digest, encoder, captioner, seed if component.entry.seeded else 0)
    yield need, f"retriever {label}", component


def seen(config: Mapping[str, Any]) -> float | None:
    """How many texts training sees, by the settings of a component; None where nothing is trained for some steps."""
    tune = config.get("tune") or {}
    tried = {name: values for name, values in tune.items() if isinstance(values, list)}  # an index has a target instead
    steps = max(tried.pop("steps", []) or [config.get("steps") or 0])  # fewer are on the way there
    batch = config.get("batch") or config.get("items", 1) * config.get("texts", 1)
    return float(math.prod(map(len, tried.values())) * steps * batch) or None


# -- what is known -----------------------------------------------------------------------------------------------------


def stored(cache: Path) -> dict[Need, Known]:
    """What the store holds. A manifest that isn't whole counts as none: the run will set it aside."""
    manifests = [
        manifest
        for kind in ("encoder", "captioner", "retriever")
        for path in (cache / kind).glob("*/manifest.json")
        if (manifest := _manifest(path))
    ]
    component = {manifest["digest"]: manifest["config"]["component"] for manifest in manifests}
    found = {}
    for manifest in manifests:
        config = manifest["config"]
        retriever = manifest["kind"] == "retriever"
        encoder, captioner = (component.get(_made(config.get(name))) if retriever else None for name in INSTRUMENTS)
        own = _place(manifest["digest"], manifest)
        artifacts = {place: _cost(cache, place, each) for place, each in _used(manifest)}
        artifacts[own] = _cost(cache, own, manifest)
        about = config.get("about", {})
        known = Known(
            config["seed"], about.get("kind", ""), seen(about), own, artifacts, manifest.get("made", {}).get("gflops")
        )
        found[Need(config["component"], encoder, captioner, config["seed"])] = known
    return found


def _used(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for digest, each in manifest["used"].items():
        yield _place(digest, each), each


def _made(digest: str | None) -> str:
    """The artifact of an instrument, however it is asked: see `Component.otherwise`."""
    return (digest or "").partition("+")[0]


def _manifest(path: Path) -> dict[str, Any] | None:
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
        sum(manifest["seconds"].values()), manifest["config"]["component"], manifest["config"]["seed"]
        manifest["digest"], dict(manifest["config"].get("about", {}))
        [sum(each["seconds"].values()) for each in manifest["used"].values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest


def _cost(cache: Path, place: str, entry: Mapping[str, Any]) -> Cost:
    folder = cache / place
    disk = sum(path.stat().st_size for path in folder.iterdir()) / 1e6 if folder.is_dir() else None
    return Cost(sum(entry["seconds"].values()), entry.get("peak_mb"), disk)


def _place(digest: str, entry: Mapping[str, Any]) -> str:
    """Where the store has it."""
    return f"{entry['kind']}/{digest[:40]}"


def shipped(path: Path) -> dict[Need, Known]:
    """What lies beside the suite."""
    try:
        return {
            Need(*each["need"]): Known(
                each["need"][3],
                each["kind"],
                each["seen"],
                each["own"],
                {place: Cost(*cost) for place, cost in each["artifacts"].items()},
                each["gflops"],
            )
            for each in json.loads(path.read_bytes())
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return {}


def ship(suites: Iterable[Suite], cache: Path) -> list[dict[str, Any]]:
    """What a store knows of the cells of suites, where the machine that made it was measured."""
    here = stored(cache)
    asked = {need: label for suite in suites for cell in suite.cells() for need, label, _ in needs(cell)}
    return [
        {
            "what": label,
            "need": list(need),
            "kind": here[need].kind,
            "seen": here[need].seen,
            "gflops": here[need].gflops,
            "own": here[need].own,
            "artifacts": {place: [_round(each) for each in cost] for place, cost in here[need].artifacts.items()},
        }
        for need, label in asked.items()
        if need in here and here[need].gflops
    ]


def _round(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


if __name__ == "__main__":
    from harness.suite import load

    sys.stdout.write(json.dumps(ship(map(load, sys.argv[2:]), Path(sys.argv[1])), indent=0) + "\n")

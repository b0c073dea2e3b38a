"""About how long a suite will take here to prepare, from what its parts cost before: called by `plan` and `run`.

The store knows what was made on this machine; `costs.json` beside a suite knows what was made elsewhere, by the same
component. Costs are scaled by how fast both machines multiply matrices in training, as calibration measured it. What
has never been made is unknown. `python -m harness.contest.estimate CACHE SUITE …` writes a `costs.json` from a store.
"""

from __future__ import annotations

import json
import math
import sys
import time
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


@dataclass(frozen=True)
class Known:
    """What an earlier making of the same had to make: seconds by kind and digest of each artifact, itself included."""

    seed: int
    artifacts: Mapping[str, float]  # "encoder/0123…" → seconds
    gflops: float | None  # of the machine, in training


@dataclass(frozen=True)
class Estimate:
    seconds: float  # to make what isn't in the store
    unknown: tuple[str, ...]  # of unknown cost

    @property
    def sentence(self) -> str:
        if not self.seconds and not self.unknown:
            return "all that has to be made is in the store; what is left is timing"
        known = (
            f"about {_words(self.seconds)} here to make what isn't in the store, then timing" if self.seconds else ""
        )
        named = ", ".join(self.unknown[:4]) + (f" and {len(self.unknown) - 4} more" if len(self.unknown) > 4 else "")
        unknown = f"how long it takes to make {named} is not known yet" if self.unknown else ""
        return "; ".join(filter(None, (known, unknown)))


def estimate(suite: Suite, cells: Iterable[Cell], cache: Path, gflops: float | None, fresh: bool = False) -> Estimate:
    """Of what these cells need; `gflops`: of this machine, None where it wasn't measured; `fresh`: all of it anew."""
    here, elsewhere = stored(cache), _shipped(suite.path.parent / FILE)
    gflops = gflops or (_quick_gflops() if elsewhere else None)
    wanted: dict[tuple[str, int], float] = {}
    unknown: dict[str, None] = {}
    for need, label in {need: label for cell in cells for need, label in needs(cell)}.items():
        known = _nearest(need, here) or _nearest(need, elsewhere)
        if known is None:
            unknown[label] = None
            continue
        # Products are a part of training: where they were 3.9 times as fast, all of it was 1.4 times as fast.
        scale = math.sqrt(known.gflops / gflops) if known.gflops and gflops else 1.0
        for artifact, seconds in known.artifacts.items():
            if fresh or known.seed != need.seed or not (cache / artifact / "manifest.json").exists():
                wanted[artifact, need.seed] = scale * seconds
    return Estimate(sum(wanted.values()), tuple(sorted(unknown, key=lambda label: label.startswith("retriever"))))


def needs(cell: Cell) -> Iterator[tuple[Need, str]]:
    """All that has to be made for a cell, and a name for each."""
    tools = {"encoder": cell.encoder, "captioner": cell.captioner}
    for tool in tools.values():
        yield from _instruments(tool, cell.seed)
    yield from _retrievers(cell.retriever.component, cell.retriever.name, tools, cell.seed)


def _instruments(component: Component | None, seed: int) -> Iterator[tuple[Need, str]]:
    if component is None or component.section == "datasets":
        return
    seed = seed if component.entry.seeded else 0
    for inner in component.inside:
        yield from _instruments(inner, seed)
    label = f"{component.section.removesuffix('s')} {component.name}"
    yield Need(component.made.digest, None, None, seed), label


def _retrievers(
    component: Component, label: str, tools: Mapping[str, Component | None], seed: int
) -> Iterator[tuple[Need, str]]:
    tools = {**tools, **component.instruments}
    for inner in component.arguments.values():
        if isinstance(inner, Component) and inner.section == "retrievers":
            yield from _retrievers(inner, inner.name, tools, seed)
    injected = [tools.get(name) if name in component.entry.needs else None for name in INSTRUMENTS]
    encoder, captioner = (used.made.digest if used else None for used in injected)
    yield Need(component.made.digest, encoder, captioner, seed if component.entry.seeded else 0), f"retriever {label}"


def _made(digest: str | None) -> str:
    """The artifact of an instrument, however it is asked: see `Component.otherwise`."""
    return (digest or "").partition("+")[0]


def _nearest(need: Need, known: Mapping[Need, Known]) -> Known | None:
    """The same with this seed, else with any: it costs as much."""
    return known.get(need) or next((each for key, each in known.items() if key[:3] == need[:3]), None)


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
        own = manifest["kind"] == "retriever"
        encoder, captioner = (component.get(_made(config.get(name))) if own else None for name in INSTRUMENTS)
        artifacts = {_place(digest, each): _seconds(each) for digest, each in manifest["used"].items()}
        artifacts[_place(manifest["digest"], manifest)] = _seconds(manifest)
        known = Known(config["seed"], artifacts, manifest.get("made", {}).get("gflops"))
        found[Need(config["component"], encoder, captioner, config["seed"])] = known
    return found


def _manifest(path: Path) -> dict[str, Any] | None:
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
        _seconds(manifest), manifest["config"]["component"], manifest["config"]["seed"], manifest["digest"]
        [_seconds(each) for each in manifest["used"].values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest


def _seconds(entry: Mapping[str, Any]) -> float:
    return float(sum(entry["seconds"].values()))


def _place(digest: str, entry: Mapping[str, Any]) -> str:
    """Where the store has it."""
    return f"{entry['kind']}/{digest[:40]}"


def _shipped(path: Path) -> dict[Need, Known]:
    """What lies beside the suite."""
    try:
        listed = json.loads(path.read_bytes())
        return {Need(*each["need"]): Known(each["need"][3], each["artifacts"], each["gflops"]) for each in listed}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def ship(suites: Iterable[Suite], cache: Path) -> list[dict[str, Any]]:
    """What a store knows of the cells of suites, where the machine that made it was measured."""
    here = stored(cache)
    asked = {need: label for suite in suites for cell in suite.cells() for need, label in needs(cell)}
    return [
        {"what": label, "need": list(need), "gflops": here[need].gflops, "artifacts": dict(here[need].artifacts)}
        for need, label in asked.items()
        if need in here and here[need].gflops
    ]


def _quick_gflops() -> float:
    """Where calibration never ran: of numpy's product, which is near that of training."""
    import numpy as np

    one, other = np.ones((1280, 192), np.float32), np.ones((192, 768), np.float32)
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        one @ other
        taken.append(time.perf_counter() - begun)
    return 2 * one.size * other.shape[1] / min(taken) / 1e9


def _words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    from harness.suite import load

    sys.stdout.write(json.dumps(ship(map(load, sys.argv[2:]), Path(sys.argv[1])), indent=0) + "\n")

"""What a suite will take here to prepare, part by part: called by `plan`, and in a sentence by `run`.

A part costs what it cost before, on this machine or elsewhere, by the same component; elsewhere is scaled by how fast
both machines multiply matrices in training, as calibration measured it. What was never made is judged by another of
its kind, for as many texts as it will see; vectors of published checkpoints by the products that they take. What is
left is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.contest import work
from harness.contest.costs import FILE, Cost, Known, Need, needs, seen, shipped, stored
from harness.suite.spec import Cell, Component, Suite

Basis = Literal["as before", "as elsewhere", "as another of its kind", "by its size", "not known yet"]
SHORT_S = 2.0  # parts that take less are told together


@dataclass(frozen=True)
class Part:
    label: str
    cost: Cost | None
    basis: Basis


@dataclass(frozen=True)
class Estimate:
    """Of what isn't in the store."""

    parts: tuple[Part, ...]

    @property
    def seconds(self) -> float:
        return sum(part.cost.seconds for part in self.parts if part.cost)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Instruments first."""
        labels = dict.fromkeys(part.label for part in self.parts if part.cost is None)
        return tuple(sorted(labels, key=lambda label: label.startswith("retriever")))

    @property
    def left(self) -> str:
        """In a few words; empty where nothing is left to make."""
        if self.unknown:
            return f"more than {_words(self.seconds)}" if self.seconds else "an unknown time"
        return f"about {_words(self.seconds)}" if self.seconds >= 1 else ""

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

    def lines(self, head: str = "to be made") -> Iterator[str]:
        """Part by part, with the peak of memory and what it leaves on disk."""
        known = [(part, part.cost) for part in self.parts if part.cost]
        long = [(part, cost) for part, cost in known if cost.seconds >= SHORT_S]
        if not long:
            return
        width = max(len(head), *(len(part.label) for part, _ in long))
        yield f"  {head:{width}}  {'time':>7}  {'memory':>7}  {'on disk':>7}"
        for part, cost in long:
            time, memory, disk = _words(cost.seconds), _size(cost.memory_mb), _size(cost.disk_mb)
            yield f"  {part.label:{width}}  {time:>7}  {memory:>7}  {disk:>7}  {part.basis}"
        short = [cost.seconds for _, cost in known if cost.seconds < SHORT_S]
        if short:
            yield f"  {f'{len(short)} others':{width}}  {_words(sum(short)):>7}"


def estimate(suite: Suite, cells: Iterable[Cell], cache: Path, gflops: float | None, fresh: bool = False) -> Estimate:
    """Of what these cells need; `gflops`: of this machine, None where it wasn't measured; `fresh`: all of it anew."""
    cells = list(cells)
    here, elsewhere = stored(cache), shipped(suite.path.parent / FILE)
    gflops = gflops or (work.quick_gflops() if elsewhere else None)
    counted: set[tuple[str, int]] = set()  # artifacts, each once, whoever shares it
    parts = _vectors(cells, here)
    for need, label, component in {each[0]: each for cell in cells for each in needs(cell)}.values():
        known, basis = _found(need, component, here, elsewhere)
        if known is None:
            parts.append(Part(label, None, "not known yet"))
            continue
        # Products are a part of training: where they were 3.9 times as fast, all of it was 1.4 times as fast.
        scale = math.sqrt(known.gflops / gflops) if known.gflops and gflops else 1.0
        left = {
            (place, need.seed): cost
            for place, cost in known.artifacts.items()
            if fresh or known.seed != need.seed or not (cache / place / "manifest.json").exists()
        }
        new = [left[each] for each in left.keys() - counted]
        counted |= left.keys()
        if new:
            parts.append(Part(label, _together(new, scale), basis))
    return Estimate(tuple(parts))


def later(cells: Iterable[Cell]) -> Estimate:
    """Of cells for which something is not here yet: the vectors alone."""
    return Estimate(tuple(_vectors(cells, {})))


def _vectors(cells: Iterable[Cell], here: Mapping[Need, Known]) -> list[Part]:
    """Of published checkpoints, by cells of which nothing was made here: what was made counts its own vectors."""
    wanted = list(work.vectors(cell for cell in cells if not any(_nearest(need, here) for need, *_ in needs(cell))))
    gflops = work.quick_gflops() if wanted else math.nan
    return [Part(each.label, each.cost(gflops), "by its size") for each in wanted]


def _found(
    need: Need, component: Component, here: Mapping[Need, Known], elsewhere: Mapping[Need, Known]
) -> tuple[Known | None, Basis]:
    if found := _nearest(need, here):
        return found, "as before"
    if found := _nearest(need, elsewhere):
        return found, "as elsewhere"
    return _alike(component, [*here.values(), *elsewhere.values()]), "as another of its kind"


def _nearest(need: Need, known: Mapping[Need, Known]) -> Known | None:
    """The same with this seed, else with any: it costs as much."""
    return known.get(need) or next((each for key, each in known.items() if key[:3] == need[:3]), None)


def _alike(component: Component, known: Iterable[Known]) -> Known | None:
    """Another of its kind that saw about as many texts, stretched to as many; of what it used, nothing."""
    texts = seen(component.config)
    others = [(each.seen, each) for each in known if each.kind == component.kind and each.seen]
    if not others or texts is None:
        return None
    saw, nearest = min(others, key=lambda pair: abs(math.log(pair[0] / texts)))
    cost, place = nearest.artifacts[nearest.own], f"alike/{component.digest}"
    stretched = cost._replace(seconds=cost.seconds * texts / saw)
    return Known(nearest.seed, nearest.kind, texts, place, {place: stretched}, nearest.gflops)


def _together(costs: Iterable[Cost], scale: float) -> Cost:
    costs = list(costs)
    memory = [each.memory_mb for each in costs if each.memory_mb is not None]
    disk = [each.disk_mb for each in costs if each.disk_mb is not None]
    return Cost(
        scale * sum(each.seconds for each in costs), max(memory) if memory else None, sum(disk) if disk else None
    )


def _words(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _size(mb: float | None) -> str:
    if mb is None:
        return "?"
    return f"{mb / 1000:.1f} GB" if mb >= 1000 else f"{mb:.0f} MB"

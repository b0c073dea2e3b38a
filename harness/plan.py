"""What a suite would do, without doing it: no contestant is imported, no data is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.suite import Cell, Component, Suite


def show(suite: Suite, out: Path, data: Path, cache: Path) -> Iterator[str]:
    """Line by line: every cell with what would become of it, then what has to be made and what that took last time."""
    cells = suite.cells()
    counts = {"done": 0, "to do": 0, "unavailable": 0}
    yield f"suite {suite.name}: {len(cells)} cells, {len(suite.tasks)} tasks, seeds {', '.join(map(str, suite.seeds))}"
    wanted: dict[tuple[str, int], tuple[Component, int]] = {}
    contest: tuple[str, int] | None = None
    for cell in cells:
        missing = cell.task.dataset.entry.absent(data)
        if contest != (cell.task.name, cell.seed):
            contest = (cell.task.name, cell.seed)
            yield f"{cell.task.name}, seed {cell.seed}"
            if missing:
                yield f"  unavailable: {missing}"
        state, why = _state(suite, cell, out, data)
        counts[state] += 1
        if not missing:
            yield f"  {cell.retriever.name:28} {state}{f': {why}' if why else ''}"
        for used in (cell.encoder, cell.captioner):
            if used is not None and state == "to do":
                seed = cell.seed if used.entry.seeded else 0
                wanted[(used.digest, seed)] = (used, seed)
    yield ", ".join(f"{count} {state}" for state, count in counts.items())
    for used, seed in wanted.values():
        yield f"needs {used.section.removesuffix('s')} {used.name}, seed {seed}: {_made(used, seed, cache)}"


def _state(suite: Suite, cell: Cell, out: Path, data: Path) -> tuple[str, str]:
    used = [cell.retriever.component, *(each for each in (cell.encoder, cell.captioner) if each is not None)]
    for component in (part for each in used for part in _parts(each)):
        missing = component.entry.missing() or (None if component.entry.target else component.entry.about)
        if missing:
            return "unavailable", missing
    if cell.task.dataset.entry.absent(data):
        return "unavailable", ""
    asked = cell.task.direction.partition("-")[0]
    if asked not in cell.retriever.component.entry.asks:
        return "unavailable", f"it can't be asked in {asked}"
    try:
        found: Any = json.loads((out / "records" / f"{cell.file}.json").read_bytes())
    except (OSError, ValueError):
        return "to do", ""
    if not isinstance(found, dict) or found.get("key") != suite.key(cell):
        return "to do", "configured otherwise than last time"
    if found.get("status") == "failed":
        return "to do", "failed last time"
    return ("done", "") if found.get("status") == "ok" else ("to do", "")


def _parts(component: Component) -> Iterator[Component]:
    """A component and all that it is made of, but for data, of which the task tells."""
    yield component
    for inside in [*component.arguments.values(), *component.instruments.values()]:
        if isinstance(inside, Component) and inside.section != "datasets":
            yield from _parts(inside)


def _made(component: Component, seed: int, cache: Path) -> str:
    """Whether the store holds it, and what it cost."""
    for path in (cache / component.section.removesuffix("s")).glob("*/manifest.json"):
        try:
            manifest = json.loads(path.read_bytes())
            if manifest["config"]["component"] == component.digest and manifest["config"]["seed"] == seed:
                return f"in the store (it took {sum(manifest['seconds'].values()):.0f} s)"
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # the run will set it aside
            continue
    return "to be made"

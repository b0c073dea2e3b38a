"""What a run would do: from the findings of `checks`, the run's folder and the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.contest import calibration
from harness.contest.checks import Findings
from harness.contest.estimate import Estimate, estimate, later
from harness.contest.missing import brief, screen
from harness.machine import compute
from harness.suite import sources
from harness.suite.spec import Cell, Suite


def show(suite: Suite, found: Findings, out: Path, cache: Path) -> Iterator[str]:
    """Line by line: every cell's state, then what has to be made and what that takes here, then what is not here."""
    cells = suite.cells()
    counts = {"done": 0, "to do": 0, "unavailable": 0, "will fail": 0}
    yield f"suite {suite.name}: {len(cells)} cells, {len(suite.tasks)} tasks, seeds {', '.join(map(str, suite.seeds))}"
    left: list[Cell] = []
    contest: tuple[str, int] | None = None
    for cell in cells:
        missing = found.unavailable.get(cell.task.dataset.digest)
        if contest != (cell.task.name, cell.seed):
            contest = (cell.task.name, cell.seed)
            yield f"{cell.task.name}, seed {cell.seed}"
            if missing:
                yield f"  unavailable: {brief(missing)}"
            for remark in (found.remarks.get(part.digest) for part in cell.task.dataset.parts()):
                yield from [f"  {remark}"] if remark else []
        state, why = _state(suite, cell, found, out)
        counts[state] += 1
        left += [cell] if state == "to do" else []
        if not missing:
            why = brief(why) if state == "unavailable" else why
            yield f"  {cell.retriever.name:28} {state}{f': {why}' if why else ''}"
    yield ", ".join(f"{count} {state}" for state, count in counts.items() if count or state != "will fail")
    if left:
        costs = expected(suite, left, cache, compute.available_threads())
        yield costs.sentence
        yield from costs.lines()
    yield from screen(found.missing)
    yield from later(unavailable(suite, found)).lines("once that is here, on this processor")


def unavailable(suite: Suite, found: Findings) -> list[Cell]:
    """The cells that can't be measured for want of something."""
    return [cell for cell in suite.cells() if any(part.digest in found.unavailable for part in cell.parts())]


def to_do(suite: Suite, found: Findings, out: Path | None) -> list[Cell]:
    """The cells that a run would measure; without a folder, all that can be."""
    return [cell for cell in suite.cells() if _state(suite, cell, found, out)[0] == "to do"]


def expected(suite: Suite, cells: list[Cell], cache: Path, threads: int, fresh: bool = False) -> Estimate:
    """What it takes here to make these cells ready; `fresh`: whatever is stored already."""
    return estimate(suite, cells, cache, calibration.gflops(cache, threads), fresh)


def _state(suite: Suite, cell: Cell, found: Findings, out: Path | None) -> tuple[str, str]:
    for part in cell.parts():
        if part.digest in found.unavailable:
            return "unavailable", found.unavailable[part.digest]
    asked = cell.task.direction.partition("-")[0]
    if asked not in cell.retriever.component.entry.asks:
        return "unavailable", f"it can't be asked in {asked}"
    state, why = _recorded(suite, cell, out) if out else ("to do", "")
    failing = next((found.fails[part.digest] for part in cell.parts() if part.digest in found.fails), None)
    return ("will fail", failing) if failing and state != "done" else (state, why)


def _recorded(suite: Suite, cell: Cell, out: Path) -> tuple[str, str]:
    """Its state by its record, if there is one."""
    try:
        record: Any = json.loads((out / "records" / f"{cell.file}.json").read_bytes())
    except (OSError, ValueError):
        return "to do", ""
    if not isinstance(record, dict) or record.get("key") != suite.key(cell):
        changed = sources.changed(record, cell.sources) if isinstance(record, dict) else []
        if changed:
            return "to do", f"the source of {', '.join(changed)} changed: run again"
        return "to do", "configured otherwise than last time"
    if record.get("status") == "failed":
        return "to do", "failed last time"
    return ("done", "") if record.get("status") == "ok" else ("to do", "")

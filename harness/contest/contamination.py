"""What a contestant was taught on, and whether the test is among it: such a cell is refused. Called by the workshop.

Splits of one dataset are disjoint by its protocol; but one protocol's train may hold another's test, as MSR-VTT's 9,000
hold 1,990 of the full test's 2,990.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from harness.contract.dataset import Dataset, Split, Unavailable
from harness.suite.spec import Cell, Component

SHOWN = 3  # names in a message


def taught_on(component: Component) -> Iterator[Component]:
    """The datasets that it, or whoever is inside it, was trained on."""
    for part in component.inside:
        yield from (part,) if part.section == "datasets" else taught_on(part)


def refuse_leaks(cell: Cell, opened: Callable[[Component], Dataset]) -> None:
    """Raise `Unavailable` where an instrument has learned from items that are asked for."""
    tested, split = cell.task.dataset, cast(Any, cell.task.split)
    for used in (cell.encoder, cell.captioner, cell.retriever.component):
        for taught in taught_on(used) if used else ():
            if taught.kind != tested.kind or taught.digest == tested.digest or tested.entry.generated:
                continue
            asked, learned = opened(tested).split(split), set[str]()
            for each in ("train", "validation"):
                learned |= _marked(opened(taught).split(each), taught.kind).keys()
            known = _marked(asked, tested.kind)
            shared = sorted({known[mark] for mark in known.keys() & learned})
            if shared:
                raise Unavailable(
                    f"refused: {taught.name}, which it was trained on, holds {len(shared):,} of the "
                    f"{len(asked.items):,} items of {tested.name}/{split} ({', '.join(shared[:SHOWN])}, …), a leak; "
                    f"train it on {tested.name}"
                )


def _marked(split: Split, kind: str) -> dict[str, str]:
    """Items by what they are known by: their bytes, where they were read, and the names that their makers gave them."""
    names = split.item_names
    marks = {f"bytes {mark}": name for mark, name in zip(split.prints or (), names, strict=False)}
    return marks if kind == "manifest" else marks | {f"name {name}": name for name in names}

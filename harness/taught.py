"""What a contestant was taught on, and whether the test is among it: such a cell is refused. Called by the workshop.

Splits of one dataset are disjoint by its protocol; but one protocol's train may hold another's test, as MSR-VTT's 9,000
hold 1,990 of the full test's 2,990.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from harness.dataset import Dataset, Split, Unavailable
from harness.suite import Cell, Component

SHOWN = 3  # names in a message


def taught_on(component: Component) -> Iterator[Component]:
    """The datasets that it, or whoever is inside it, was trained on."""
    for value in (*component.arguments.values(), *component.instruments.values()):
        if isinstance(value, Component):
            yield from (value,) if value.section == "datasets" else taught_on(value)


def refuse_leaks(cell: Cell, opened: Callable[[Component], Dataset]) -> None:
    """Raise `Unavailable` where an instrument has learned from items that are asked for."""
    tested, split = cell.task.dataset, cast(Any, cell.task.split)
    for used in (cell.encoder, cell.captioner, cell.retriever.component):
        for taught in taught_on(used) if used else ():
            if taught.kind != tested.kind or taught.digest == tested.digest or tested.entry.generated:
                continue
            asked = _marked(opened(tested).split(split))
            learned: dict[str, str] = {}
            for each in ("train", "validation"):
                learned |= _marked(opened(taught).split(each))
            shared = sorted(asked[mark] for mark in asked.keys() & learned.keys())
            if shared:
                raise Unavailable(
                    f"refused: {taught.name}, which it was trained on, holds {len(shared):,} of the {len(asked):,} "
                    f"items of {tested.name}/{split} ({', '.join(shared[:SHOWN])}, …), a leak; train it on "
                    f"{tested.name}"
                )


def _marked(split: Split) -> dict[str, str]:
    """What an item is known by, its bytes where they were read, and its name. Names alone tell within one kind only."""
    return dict(zip(split.prints or split.item_names, split.item_names, strict=True))

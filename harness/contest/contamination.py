"""Refuses a cell whose instruments or retriever were trained on items of the test. Called by the builder.

Splits of one dataset are disjoint by its protocol; but one protocol's train may hold another's test, as MSR-VTT's 9,000
hold 1,990 of the full test's 2,990.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from harness.contract.dataset import Dataset, Split, Unavailable
from harness.suite.spec import Cell, Component

SHOWN = 3  # names in a message


def refuse_leaks(cell: Cell, opened: Callable[[Component], Dataset]) -> None:
    """Raise `Unavailable` where one of them was trained on items of this task."""
    tested, split = cell.task.dataset, cast(Any, cell.task.split)
    for used in (cell.encoder, cell.captioner, cell.retriever.component):
        for trained in used.datasets if used else ():
            if trained.kind != tested.kind or trained.digest == tested.digest or tested.entry.generated:
                continue
            asked, learned = opened(tested).split(split), set[str]()
            for each in ("train", "validation"):
                learned |= _marked(opened(trained).split(each), trained.kind).keys()
            known = _marked(asked, tested.kind)
            shared = sorted({known[mark] for mark in known.keys() & learned})
            if shared:
                raise Unavailable(
                    f"refused: {trained.name}, which it was trained on, holds {len(shared):,} of the "
                    f"{len(asked.items):,} items of {tested.name}/{split} ({', '.join(shared[:SHOWN])}, …), a leak; "
                    f"train it on {tested.name}"
                )


def _marked(split: Split, kind: str) -> dict[str, str]:
    """Items by their marks: their bytes, where they were read, and the names that the dataset gives them."""
    names = split.item_names
    marks = {f"bytes {mark}": name for mark, name in zip(split.prints or (), names, strict=False)}
    return marks if kind == "manifest" else marks | {f"name {name}": name for name in names}

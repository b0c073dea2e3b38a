"""The tables on a terminal: seven columns, at most 120 letters wide, whoever reads them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from textwrap import wrap
from typing import Any, TextIO

from harness.machine.escaping import line
from harness.report import costs, reproduction, validity
from harness.report.best import table
from harness.report.brief import brief
from harness.report.columns import Column
from harness.report.forms import BEST, NEAR
from harness.report.notes import FOOT, LEGEND, caption, chance_note, left_out, notes, parted, sessions_note
from harness.results.folds import without_parts
from harness.results.rows import Row

WIDTH = 120
FOLDED = ("run", "retriever")  # names are as long as people like
SAME = "A row of several: they gave the same answers; times are the first one's."


def show(
    rows: Sequence[Row],
    ks: Sequence[int],
    session: str | None,
    stream: TextIO | None = None,
    about: str = "",
    verdict: Sequence[str] = (),
) -> None:
    """`about`: what the suite says of itself; `verdict`: what came out of it, in sentences."""
    from rich.console import Console

    stream = stream or sys.stdout
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else WIDTH, emoji=False, markup=False)
    if console.width > WIDTH:
        console.width = WIDTH

    def say(text: str, style: str | None = None, indent: int = 0, hang: int = 0) -> None:
        """Prose, line by line; what may have to be copied, such as reasons, is left to the terminal to break."""
        first, then = " " * indent, " " * (indent + hang)
        parts = wrap(line(text), console.width, initial_indent=first, subsequent_indent=then, break_on_hyphens=False)
        for part in parts:
            console.print(part, style=style, soft_wrap=True)

    here, absent = parted(without_parts(rows))
    together = marked = False
    for task, group in here.items():
        console.print(f"\n{line(task)}", style="bold", soft_wrap=True)
        for note in filter(None, [caption(group), *_differ(group), chance_note(group)]):
            say(note, indent=2)
        fine = [row for row in group if row.status == "ok"]
        joined = alike(fine)
        if joined:
            marked |= _print_table(console, joined, brief(ks, joined))
            together |= len(joined) < len(fine)
        for names, status, reason in left_out(group):
            console.print(f"  {line(', '.join(names))}: {line(status)}: {line(reason)}", soft_wrap=True)
        for note in (*_noted(fine, session), *filter(None, [sessions_note(group)]), *validity.lines(group)):
            say(note, indent=2, hang=2)
    for beside in reproduction.reproduced(rows):
        console.print(f"\n{line(beside.sentence)}", soft_wrap=True)
    for reason, tasks in absent.items():
        console.print(f"\n{line(', '.join(tasks))}: {line(reason)}", soft_wrap=True)
    if any(row.records for row in rows):
        console.print()
        legend = [LEGEND.replace("Bold", "*")] * marked + [SAME] * together
        say(" ".join([*legend, FOOT]), style="dim")
    spent = costs.lines(costs.costs([record for row in rows for record in row.records]))
    if spent:
        console.print("\nWhat it was made of, each artifact once:", style="bold")
        for each in spent:
            say(each, hang=22)
    if verdict:
        console.print("\nWhat came out of it:", style="bold")
        for each in verdict:
            say(each)
    if about:
        console.print()
        say(about)


def alike(rows: Sequence[Row]) -> list[Row]:
    """Those that gave the very same answers as one row, under the names of the first two and the number of others."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        digests = tuple(each["rankings"] for each in row.records)
        hits = tuple(metric["value"] for name, metric in row.metrics.items() if name.startswith("hit@"))
        groups.setdefault((row.run, row.paradigm, digests, hits), []).append(row)
    return [replace(members[0], retriever=_names(members)) for members in groups.values()]


def _names(members: Sequence[Row]) -> str:
    names = [row.retriever for row in members]
    return ", ".join(names[:2]) + (f" +{len(names) - 2}" if len(names) > 2 else "")


def _print_table(console: Any, rows: Sequence[Row], shown: Sequence[Column]) -> bool:
    """Whether anything in it was marked."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    texts, marks = table(rows, shown)
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in shown:
        side: Any = "left" if column.words else "right"
        drawn.add_column(column.name, justify=side, overflow="fold", no_wrap=column.name not in FOLDED)
    ends = {BEST: (" *", "bold"), NEAR: (" °", "")}  # not all terminals have bold letters, and files have none
    for cells, made in zip(texts.itertuples(index=False), marks.itertuples(index=False), strict=True):
        styled = [ends.get(mark, ("", "")) for mark in made]
        drawn.add_row(*(Text(line(cell) + end, style) for cell, (end, style) in zip(cells, styled, strict=True)))
    console.print(drawn)
    return bool((marks != "").any(axis=None))


def _noted(rows: Iterable[Row], session: str | None) -> list[str]:
    """What is to be known of rows, those together of which the same is: `cart, dual: 3 seeds`."""
    found: dict[str, list[str]] = {}
    members = list(rows)
    shared = validity.common(members)
    for row in members:
        if note := notes(row, session, shared):
            found.setdefault(note, []).append(f"{row.run} {row.retriever}".strip())
    return [f"{', '.join(names)}: {note}" for note, names in found.items()]


def _differ(group: Sequence[Row]) -> list[str]:
    """Where runs stand side by side that were not asked the same questions."""
    asked = {(row.run, each["data"]["digest"]) for row in group if row.run for each in row.records if each["data"]}
    if len({digest for _, digest in asked}) > 1:
        return ["these runs were not asked the same questions: don't compare their numbers"]
    return []

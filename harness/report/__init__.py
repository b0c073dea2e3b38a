"""Turns a run's folder into what people read: tables, plots. Needs no model and no dataset."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from harness.machine import escaping, files
from harness.machine.escaping import line
from harness.report import (
    ablation,
    costs,
    equal_recall,
    folds,
    paired,
    published,
    reproduction,
    scaling,
    sizes,
    starts,
    tables,
    validity,
)
from harness.store.record import Record
from harness.store.run_folder import RunFolder


def write(folder: RunFolder, title: str, records: Sequence[Record], session: str | None = None) -> list[tables.Row]:
    """Write tables and plots of these records into the folder; returns the rows, to be shown too."""
    from harness.report import equal_recall_plot, plots, scaling_plot, sweeps

    found = folds.with_means(tables.rows(folder, records))
    markdown = tables.markdown(title, found, cutoffs(records), session)
    if published.of(records):
        markdown += "\nWhat others report for these datasets stands apart: published.md.\n"
    if about := folder.journal().get("about"):
        markdown += f"\n{escaping.markdown(str(about))}\n"
    files.write(folder.root / "tables" / "main.md", markdown.encode())
    published.write(folder, records)
    if beside := reproduction.reproduced(found):
        files.write(folder.root / "tables" / "reproduction.md", reproduction.markdown(beside).encode())
    files.write(folder.root / "tables" / "main.csv", tables.comma_separated(found).encode())
    files.write(folder.root / "tables" / "paired.md", paired.markdown(paired.pairs(folder, found)).encode())
    files.write(folder.root / "tables" / "costs.md", costs.markdown(costs.costs(records)).encode())
    plots.recall_against_rate(folds.without_parts(found), folder.root / "plots")
    sweeps.found_against_setting(folds.without_parts(found), folder.root / "plots")
    if parts := ablation.ablations(folder, found):
        files.write(folder.root / "tables" / "ablation.md", ablation.markdown(parts).encode())
        files.write(folder.root / "tables" / "ablation.csv", ablation.comma_separated(parts).encode())
    if held := sizes.markdown(found):
        files.write(folder.root / "tables" / "sizes.md", held.encode())
    if students := starts.kept(folder, found):
        files.write(folder.root / "tables" / "starts.md", starts.markdown(students).encode())
    if series := scaling.series(found):
        files.write(folder.root / "tables" / "scaling.md", scaling.markdown(series).encode())
        scaling_plot.rate_against_size(series, folder.root / "plots")
    if settings := equal_recall.families(folder, found):
        files.write(folder.root / "tables" / "equal-recall.md", equal_recall.markdown(settings).encode())
        equal_recall_plot.recall_against_speedup(settings, folder.root / "plots")
    return found


def cutoffs(records: Sequence[Record]) -> list[int]:
    names = {name for each in records for name in each["metrics"] if name.startswith("hit@")}
    return sorted(int(name.removeprefix("hit@")) for name in names)


def show(
    rows: Sequence[tables.Row], ks: Sequence[int], session: str | None, stream: TextIO | None = None, about: str = ""
) -> None:
    """The same tables on a terminal, with fewer columns; elsewhere as wide as they need.

    `about`: what the suite says of itself.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    stream = stream or sys.stdout
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else 240, emoji=False, markup=False)
    here, absent = tables.parted(folds.without_parts(rows))
    for task, group in here.items():
        console.print(f"\n{line(task)}", style="bold")
        console.print(f"  {line(tables.caption(group))}", soft_wrap=True)
        if near := tables.chance_note(group):
            console.print(f"  {line(near)}", soft_wrap=True)
        fine = [row for row in group if row.status == "ok"]
        brief = [each for each in tables.columns(ks, group, session) if each.brief and any(map(each.text, fine))]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in brief:
            table.add_column(column.name, justify="left" if column.words else "right", overflow="fold")
        for row in fine:
            table.add_row(*(line(column.text(row)) for column in brief))
        if fine:
            console.print(table)
        for names_of, status, reason in tables.left_out(group):
            console.print(f"  {line(', '.join(names_of))}: {line(status)}: {line(reason)}", soft_wrap=True)
        for note in (*filter(None, [tables.sessions_note(group)]), *validity.lines(group)):
            console.print(f"  {line(note)}", soft_wrap=True)
    for beside in reproduction.reproduced(rows):
        console.print(f"\n{line(beside.sentence)}", soft_wrap=True)
    for reason, tasks in absent.items():
        console.print(f"\n{line(', '.join(tasks))}: {line(reason)}", soft_wrap=True)
    if any(row.records for row in rows):
        console.print("\n" + tables.FOOT, style="dim", soft_wrap=True)
    spent = costs.lines(costs.costs([record for row in rows for record in row.records]))
    if spent:
        console.print("\nWhat it was made of, each artifact once:", style="bold")
        for each in spent:
            console.print(line(each), soft_wrap=True)
    if about:
        console.print(f"\n{line(about)}", soft_wrap=True)

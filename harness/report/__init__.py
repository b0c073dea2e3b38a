"""Turns a run's folder into what people read: tables, plots, a verdict. Needs no model and no dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.machine import escaping, files
from harness.report import (
    ablation,
    against,
    costs,
    data_table,
    equal_recall,
    identifiers,
    main_table,
    paired,
    published,
    reproduction,
    scaling,
    sizes,
    starts,
)
from harness.report.terminal import show
from harness.report.verdict import sentences
from harness.results.folds import with_means, without_parts
from harness.results.rows import Row, rows
from harness.store.record import Record
from harness.store.run_folder import RunFolder

PAGE = "report.html"
__all__ = ["PAGE", "Written", "cutoffs", "show", "write"]


class Written(NamedTuple):
    rows: list[Row]
    verdict: list[str]


def write(
    folder: RunFolder,
    title: str,
    records: Sequence[Record],
    session: str | None = None,
    pairs: bool = False,
    drawn: bool = True,
) -> Written:
    """Write tables, plots and the page of these records into the folder; what it returns is to be shown too.

    `pairs`: all pairs of contestants, too, which takes long where there are many. `drawn`: plots and the page.
    """
    found, ks = with_means(rows(folder, records)), cutoffs(records)
    markdown = main_table.markdown(title, found, ks, session)
    if published.of(records):
        markdown += "\nWhat others report for these datasets stands apart: published.md.\n"
    if about := folder.journal().get("about"):
        markdown += f"\n{escaping.markdown(str(about))}\n"
    held = against.against(folder, found)
    verdict = sentences(found, held)
    parts, series = ablation.ablations(folder, found), scaling.series(found)
    students, settings = starts.kept(folder, found), equal_recall.families(folder, found)
    beside = reproduction.reproduced(found)
    tables = {
        "main.md": markdown,
        "main.csv": main_table.comma_separated(found),
        "main.tex": main_table.latex(without_parts(found), ks),
        "main.html": main_table.html(title, found, ks, session),
        "against.md": against.markdown(held) if held else "",
        "against.csv": against.comma_separated(held) if held else "",
        "against.tex": against.latex(held) if held else "",
        "paired.md": paired.markdown(paired.pairs(folder, found)) if pairs else "",
        "data.md": data_table.markdown(found),
        "identifiers.md": identifiers.markdown(found),
        "reproduction.md": reproduction.markdown(beside) if beside else "",
        "costs.md": costs.markdown(costs.costs(records)),
        "ablation.md": ablation.markdown(parts) if parts else "",
        "ablation.csv": ablation.comma_separated(parts) if parts else "",
        "sizes.md": sizes.markdown(found),
        "starts.md": starts.markdown(students) if students else "",
        "scaling.md": scaling.markdown(series) if series else "",
        "equal-recall.md": equal_recall.markdown(settings) if settings else "",
    }
    for name, text in tables.items():
        path = folder.root / "tables" / name
        if text:
            files.write(path, text.encode())
        else:
            path.unlink(missing_ok=True)  # left over from when there was something to say
    published.write(folder, records)
    if drawn:
        from harness.report import page, page_data, plots

        pictures = plots.write(folder, found)
        shown = page_data.assembled(folder, title, found, ks, held, verdict, pictures, session)
        files.write(folder.root / PAGE, page.render(shown).encode())
    return Written(found, verdict)


def cutoffs(records: Sequence[Record]) -> list[int]:
    names = {name for each in records for name in each["metrics"] if name.startswith("hit@")}
    return sorted(int(name.removeprefix("hit@")) for name in names)

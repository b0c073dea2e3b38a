"""A table of words as Markdown, CSV, LaTeX or HTML. Tables of `report` that come in several forms use it.

A table is a pandas frame of text; `marks`, of the same shape, says which cells are the best of their column.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pandas as pd

from harness.machine import escaping

BEST, NEAR = "best", "near"
PACKAGES = "% needs \\usepackage{booktabs}, \\usepackage{graphicx}, and \\usepackage[T1]{fontenc} for quotation marks\n"
SHRUNK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"  # what is wider than the page


def markdown(table: pd.DataFrame, marks: pd.DataFrame | None = None) -> str:
    shown = _written(table, marks, escaping.markdown, "**{}**", "{} °")
    head = f"| {' | '.join(shown.columns)} |"
    rows = [f"| {' | '.join(cells)} |" for cells in shown.itertuples(index=False, name=None)]
    return "\n".join([head, "|" + "---|" * len(shown.columns), *rows])


def comma_separated(table: pd.DataFrame) -> str:
    """For programs: numbers as they are, nothing where there is none, text that no spreadsheet computes."""
    safe = table.copy()
    for name in safe.columns:
        if isinstance(safe[name].dtype, pd.StringDtype) or safe[name].dtype == object:
            safe[name] = safe[name].map(escaping.csv, na_action="ignore")
    return str(safe.to_csv(index=False, lineterminator="\n"))


def latex(table: pd.DataFrame, caption: str, marks: pd.DataFrame | None = None, words: Collection[str] = ()) -> str:
    """A float with a tabular of booktabs in it, no wider than the page; `words` are set to the left, numbers to the
    right."""
    shown = _written(table, marks, escaping.latex, r"\textbf{{{}}}", r"{}\,$^\circ$")
    sides = "".join("l" if name in words else "r" for name in table.columns)
    rows = [" & ".join(cells) + r" \\" for cells in shown.itertuples(index=False, name=None)]
    lines = [r"\begin{table}", r"\centering\footnotesize", rf"\caption{{{escaping.latex(caption)}}}"]
    lines += [SHRUNK, rf"\begin{{tabular}}{{{sides}}}", r"\toprule", " & ".join(shown.columns) + r" \\", r"\midrule"]
    return "\n".join([*lines, *rows, r"\bottomrule", r"\end{tabular}}", r"\end{table}", ""])


def html(table: pd.DataFrame, marks: pd.DataFrame | None = None, words: Collection[str] = ()) -> str:
    shown = _written(table, marks, escaping.html, "<b>{}</b>", "{} °")
    sides = ["" if name in words else ' class="number"' for name in table.columns]
    head = "".join(f"<th{side}>{name}</th>" for side, name in zip(sides, shown.columns, strict=True))
    rows = [
        "<tr>" + "".join(f"<td{side}>{cell}</td>" for side, cell in zip(sides, cells, strict=True)) + "</tr>"
        for cells in shown.itertuples(index=False, name=None)
    ]
    return "\n".join(["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>", *rows, "</tbody>", "</table>"])


def page(title: str, parts: list[str]) -> str:
    """A page of HTML that needs nothing else."""
    style = (
        "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:90rem}table{border-collapse:collapse}"
        "th,td{padding:.2rem .7rem;text-align:left;border-bottom:1px solid #ddd}.number{text-align:right}"
    )
    head = f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escaping.html(title)}</title>\n'
    return "\n".join([f"{head}<style>{style}</style>", *parts, "</html>", ""])


def _written(
    table: pd.DataFrame, marks: pd.DataFrame | None, escape: Callable[[object], str], best: str, near: str
) -> pd.DataFrame:
    """Every cell and the head escaped, and marked where `marks` says so."""
    shown: Any = table.astype(object).map(escape)
    if marks is not None:
        shown = shown.mask(marks == BEST, shown.map(best.format)).mask(marks == NEAR, shown.map(near.format))
    return shown.set_axis([escape(name) for name in table.columns], axis=1)

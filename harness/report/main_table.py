"""The main table, task by task: tables/main.md, main.csv, main.tex and main.html."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.machine import escaping
from harness.report import forms, validity
from harness.report.best import table
from harness.report.brief import brief
from harness.report.columns import columns
from harness.report.notes import FOOT, LEGEND, caption, chance_note, parted, sessions_note
from harness.results.frames import STATES, of_rows
from harness.results.rows import Row

# Columns of main.csv, older than the frame's, which other programs read: name there → name in the frame.
RENAMED = {
    "items": "candidates",
    "qps median": "qps",
    "qps q25": "qps low",
    "qps q75": "qps high",
    **{f"p{share}_ms": f"p{share} ms" for share in (50, 95, 99)},
    **{state.lower().replace(" ", "_"): state for state in STATES},
    **{name.replace(" ", "_"): name for name in ("fit s", "index s", "index bytes", "constant bytes")},
}
FIRST = (
    *("task", "retriever", "paradigm", "seeds", "status", "reason", "generated", "items", "queries", "ceiling"),
    *("asked", "folds", "digest"),
)
NOT_THERE = ("dataset", "chance", "search only qps")
WORDS = ("retriever", "paradigm", "note")


def markdown(title: str, all_rows: Sequence[Row], ks: Sequence[int], session: str | None) -> str:
    lines, marked = [f"# {escaping.markdown(title)}", ""], False
    here, absent = parted(all_rows)
    for task, group in here.items():
        near = chance_note(group)
        texts, marks = table(group, columns(ks, group, session))
        marked = marked or bool((marks != "").any(axis=None))
        lines += [f"## {escaping.markdown(task)}", "", f"{escaping.markdown(caption(group))}.", ""]
        lines += [escaping.markdown(near) + ".", ""] if near else []
        lines += [forms.markdown(texts, marks)]
        below = [*filter(None, [sessions_note(group)]), *validity.lines(group)]
        lines += ["", *(part for note in below for part in (escaping.markdown(note) + ".", ""))]
    lines += list(_absent(absent, escaping.markdown))
    return "\n".join([*lines, *([LEGEND, ""] if marked else []), FOOT, ""])


def comma_separated(all_rows: Sequence[Row]) -> str:
    """Plain numbers, a row a retriever: the frame with the names that main.csv has always had."""
    made = of_rows(all_rows).drop(columns=list(NOT_THERE))
    made["asked"] = made["asked"].mask(made["asked"] == made["queries"])
    made = made.rename(columns={new: old for old, new in RENAMED.items()})
    return forms.comma_separated(made[[*FIRST, *(name for name in made.columns if name not in FIRST)]])


def latex(all_rows: Sequence[Row], ks: Sequence[int]) -> str:
    """A table a task, with few columns: for a paper."""
    parts = [forms.PACKAGES]
    for task, group in parted(all_rows)[0].items():
        fine = [row for row in group if row.status == "ok"]
        if fine:
            texts, marks = table(fine, brief(ks, fine))
            parts.append(forms.latex(texts, f"{task}: {caption(group)}", marks, WORDS))
    return "\n".join(parts)


def html(title: str, all_rows: Sequence[Row], ks: Sequence[int], session: str | None) -> str:
    here, absent = parted(all_rows)
    parts = [f"<h1>{escaping.html(title)}</h1>"]
    for task, group in here.items():
        notes = filter(None, [caption(group), chance_note(group), sessions_note(group), *validity.lines(group)])
        parts += [f"<h2>{escaping.html(task)}</h2>", *(f"<p>{escaping.html(note)}.</p>" for note in notes)]
        parts.append(forms.html(*table(group, columns(ks, group, session)), WORDS))
    parts += [f"<p>{text}</p>" for text in _absent(absent, escaping.html) if text]
    return forms.page(title, [*parts, *(f"<p>{escaping.html(text)}</p>" for text in (LEGEND, FOOT))])


def _absent(absent: dict[str, list[str]], escape: Callable[[object], str]) -> Iterator[str]:
    """One line for all tasks of a dataset that isn't here, and an empty one."""
    for reason, tasks in absent.items():
        yield f"{', '.join(map(escape, tasks))}: {escape(reason)}"
        yield ""

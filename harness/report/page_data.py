"""What the page shows of a run: sentences, tables, plots and explorers as plain data, for `page.render`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.report import costs, validity
from harness.report.against import Line
from harness.report.best import table
from harness.report.columns import Column, columns
from harness.report.explorer import Room, explorer
from harness.report.notes import FOOT, caption, chance_note, left_out, parted, sessions_note
from harness.report.paired import odds, points
from harness.report.plots import Picture
from harness.report.words import quantity
from harness.results.folds import without_parts
from harness.results.rows import Row
from harness.store.record import Record
from harness.store.run_folder import RunFolder

GLANCE = ("recall-rate", "tasks", "ablation")  # plots that come before the tables
NAMED = ("retriever", "paradigm")  # columns that the page has of its own
ROOM = Room()  # for all media of a page together


def assembled(
    folder: RunFolder,
    title: str,
    rows: Sequence[Row],
    ks: Sequence[int],
    held: Sequence[Line],
    verdict: Sequence[str],
    drawn: Sequence[Picture],
    session: str | None = None,
) -> dict[str, Any]:
    """`held`: everybody against a reference."""
    records = [record for row in rows for record in row.records]
    here, absent = parted(without_parts(rows))
    early = [_plot(picture) for name in GLANCE for picture in drawn if picture.name == name]
    late = [_plot(picture) for picture in drawn if picture.name not in GLANCE]
    explorers: dict[str, Any] = {}
    sections = [_section("glance", "At a glance", plots=early)] if early else []
    for task, group in here.items():
        room = Room(ROOM.thumbnails // len(here), ROOM.clips // len(here))
        looked_at = _first_fold(rows, group[0])
        found = explorer(folder, looked_at[0].task, looked_at, room)
        name = task.replace("/", "-")
        explorers |= {name: found} if found else {}
        tables = [_main(group, ks, session), *_against([line for line in held if line.pair.task == task])]
        sections.append(_section(name, task, _told(group), tables, [], name if found else None))
    sections += [_section("plots", "More plots", plots=late)] if late else []
    sections += [_section("costs", "What it was made of", "Each artifact once.", [_costs(records)])] if records else []
    sections += [_section("absent", "Not measured", "", [_absent(absent)])] if absent else []
    sections.append(_section("reading", "How to read this", FOOT))
    return {
        "title": title,
        **_origin(records),
        "about": str(folder.journal().get("about") or ""),
        "generated": any(record["data"] and record["data"]["generated"] for record in records),
        "verdict": list(verdict),
        "sections": sections,
        "explorers": explorers,
    }


def _first_fold(rows: Sequence[Row], one: Row) -> list[Row]:
    """All of this one's task; of a mean of folds those of the first, whose answers can be looked at."""
    task = f"{one.task}/1of{one.folds}" if one.folds else one.task
    return [row for row in rows if row.task == task]


def _origin(records: Sequence[Record]) -> dict[str, str]:
    """When, from which commit and on which machine: of the newest record."""
    if not records:
        return {"made": "", "commit": "", "machine": ""}
    newest = max(records, key=lambda record: record["made"])
    environment = newest["environment"]
    commit = str(environment.get("commit") or "unknown")[:7] + ("+" if environment.get("dirty") else "")
    parts = [environment.get("processor"), f"{environment.get('cores')} cores", environment.get("device")]
    machine = ", ".join([str(part) for part in parts if part] + [f"{environment.get('threads')} threads"])
    return {"made": newest["made"], "commit": commit, "machine": machine}


def _section(
    name: str,
    title: str,
    text: str = "",
    tables: Sequence[Mapping[str, Any]] = (),
    plots: Sequence[Mapping[str, Any]] = (),
    explorer: str | None = None,
) -> dict[str, Any]:
    return {
        "id": name,
        "title": title,
        "caption": text,
        "tables": list(tables),
        "plots": list(plots),
        "explorer": explorer,
    }


def _plot(picture: Picture) -> dict[str, str]:
    svg = next(path for path in picture.files if path.suffix == ".svg").read_text(encoding="utf-8")
    return {"id": picture.name, "title": picture.title, "alt": picture.alt, "svg": svg}


def _told(group: Sequence[Row]) -> str:
    """Above a task's tables: what was measured, and what is wrong with it."""
    left = [f"{', '.join(names)}: {status}: {reason}" for names, status, reason in left_out(group)]
    parts = [caption(group), chance_note(group), sessions_note(group), *validity.lines(group), *left]
    return " ".join(part if part.endswith(".") else f"{part}." for part in parts if part)


def _main(group: Sequence[Row], ks: Sequence[int], session: str | None) -> dict[str, Any]:
    fine = [row for row in group if row.status == "ok"]
    shown = [column for column in columns(ks, fine, session) if any(column.text(row) not in ("", "–") for row in fine)]
    texts, marks = table(fine, shown)
    kept = [column for column in shown if column.name not in NAMED]
    rows = [
        {
            "name": row.retriever,
            "paradigm": row.paradigm,
            "cells": [_cell(row, column, texts, marks, number) for column in kept],
        }
        for number, row in enumerate(fine)
    ]
    heads = [{"name": column.name, "words": column.words} for column in kept]
    return {"id": "main", "title": "What was found, how fast, at what cost", "note": "", "columns": heads, "rows": rows}


def _cell(row: Row, column: Column, texts: pd.DataFrame, marks: pd.DataFrame, number: int) -> dict[str, Any]:
    spread = column.number(row) if column.number is not None else None
    return {
        "text": str(texts[column.name].iloc[number]),
        "value": None if spread is None else spread.value,
        "mark": str(marks[column.name].iloc[number]),
    }


def _against(lines: Sequence[Line]) -> list[dict[str, Any]]:
    if not lines:
        return []
    heads = ("hit@1, points", "p after Holm", "hit@10, points", "shared queries")
    rows = []
    for line in lines:
        pair = line.pair
        texts = (points(pair.difference), odds(line.p), points(pair.deeper), f"{pair.queries:,}")
        values = (pair.difference.value, line.p, pair.deeper.value if pair.deeper else None, pair.queries)
        cells = [{"text": text, "value": value, "mark": ""} for text, value in zip(texts, values, strict=True)]
        rows.append({"name": pair.first, "paradigm": "", "cells": cells})
    note = "Paired, on the queries that both answered: positive means that it found more than the one in the title."
    title = f"Against {lines[0].pair.second}"
    columns = [{"name": head, "words": False} for head in heads]
    return [{"id": "against", "title": title, "note": note, "columns": columns, "rows": rows}]


def _costs(records: Sequence[Record]) -> dict[str, Any]:
    rows = [
        {
            "name": each.artifact,
            "paradigm": "",
            "cells": [
                {"text": quantity(each.seconds), "value": each.seconds, "mark": ""},
                {"text": ", ".join(each.users), "value": None, "mark": ""},
            ],
        }
        for each in costs.costs(records)
    ]
    columns = [{"name": "seconds", "words": False}, {"name": "for", "words": True}]
    return {"id": "artifacts", "title": "Artifacts", "note": "", "columns": columns, "rows": rows}


def _absent(absent: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    rows = [
        {"name": ", ".join(tasks), "paradigm": "", "cells": [{"text": reason, "value": None, "mark": ""}]}
        for reason, tasks in absent.items()
    ]
    columns = [{"name": "why, and what to do", "words": True}]
    return {"id": "tasks", "title": "Tasks", "note": "", "columns": columns, "rows": rows}

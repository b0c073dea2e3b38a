"""The page's data brought into the template's shape: ids that occur once, cells parted, what doesn't fit said.

Called by `render` alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

COLOURED = ("single-tower", "dual-tower", "generative", "hybrid", "control")
FEW_ROWS = 6  # a table with fewer needs no filter
AFTER = re.compile(r"(?P<main>[^\[(]*\S)\s+(?P<rest>[\[(].*)", re.DOTALL)


def laid_out(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows; a ValueError says what of the data can't be shown."""
    ids = Ids()
    explorers = dict(data["explorers"])
    payloads = {name: ids.once(f"answers-{name}") for name in explorers}
    anchors = [ids.once(section["id"]) for section in data["sections"]]  # before others: links from outside name them
    sections = []
    for section, anchor in zip(data["sections"], anchors, strict=True):
        name = section["explorer"]
        if name is not None and name not in explorers:
            raise ValueError(f"section {section['id']!r} shows explorer {name!r}, but there are {sorted(explorers)}")
        sections.append(
            {
                **section,
                "id": anchor,
                "tables": [_table(each, ids.once(f"{anchor}-{each['id']}"), section) for each in section["tables"]],
                "plots": [{**each, "id": ids.once(f"{anchor}-{each['id']}")} for each in section["plots"]],
                "explorer": None
                if name is None
                else {**explorers[name], "id": ids.once(f"explore-{name}"), "name": name, "payload": payloads[name]},
            }
        )
    return {**data, "sections": sections, "payloads": {payloads[name]: explorers[name] for name in explorers}}


def _table(table: Mapping[str, Any], anchor: str, section: Mapping[str, Any]) -> dict[str, Any]:
    columns = table["columns"]
    for row in table["rows"]:
        if len(row["cells"]) != len(columns):
            raise ValueError(
                f"table {table['id']!r} of section {section['id']!r} has {len(columns)} columns, "
                f"but its row {row['name']!r} has {len(row['cells'])} cells"
            )
    rows = [
        {
            "name": row["name"],
            "paradigm": row["paradigm"],
            "colour": row["paradigm"] if row["paradigm"] in COLOURED else "other",
            "cells": [_cell(cell, column["words"]) for cell, column in zip(row["cells"], columns, strict=True)],
        }
        for row in table["rows"]
    ]
    cells = [cell for row in rows for cell in row["cells"]]
    paradigms = any(row["paradigm"] for row in rows)
    return {
        "id": anchor,
        "title": table["title"],
        "note": table["note"],
        "columns": columns,
        "rows": rows,
        "first": "retriever" if paradigms else "name",
        "paradigms": paradigms,
        "filtered": len(rows) >= FEW_ROWS,
        "marks": {cell["mark"] for cell in cells},
    }


def _cell(cell: Mapping[str, Any], words: bool) -> dict[str, Any]:
    """What stands in brackets after a number goes below it, smaller."""
    found = None if words else AFTER.fullmatch(cell["text"])
    main, rest = (found["main"], found["rest"]) if found else (cell["text"], "")
    return {"main": main, "rest": rest, "value": cell["value"], "mark": cell["mark"], "words": words}


class Ids:
    """Ids as they were asked for, as far as HTML and addresses can hold them; a number behind what was there before."""

    def __init__(self) -> None:
        self.given: set[str] = {"top", "main", "contents"}  # the template's own

    def once(self, wanted: str) -> str:
        plain = re.sub(r"[^\w-]+", "-", wanted).strip("-") or "part"
        found, number = plain, 2
        while found in self.given:
            found, number = f"{plain}-{number}", number + 1
        self.given.add(found)
        return found

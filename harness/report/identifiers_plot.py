"""How a generative retriever's identifiers use their codes, level by level: how many, and how evenly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.report import axes, points, style
from harness.report.words import quantity
from harness.results.rows import Row


def codes_by_level(rows: Sequence[Row], folder: Path) -> list[Path]:
    groups = {task: _members(group) for task, group in _groups(rows).items()}
    return style.drawn(
        groups,
        _panel,
        folder,
        "identifiers",
        height=lambda members: axes.tall(sum(len(each["levels"]) for _, each in members)),
        paradigms={heads[0].paradigm for members in groups.values() for heads, _ in members},
        keys=_keys(),
    )


def alt(rows: Sequence[Row]) -> str:
    def said(group: Sequence[Row]) -> str:
        words = []
        for heads, each in _members(group)[:4]:
            used = ", ".join(f"{level['used']} of {level['size']}" for level in each["levels"])
            words.append(f"{heads[0].retriever} uses {used}")
        return "; ".join(words)

    told = "Codes of identifiers that are used, and their perplexity, level by level. "
    return told + points.briefly(_groups(rows), said)


def _groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    known = {task: [row for row in group if _told(row)] for task, group in points.contestants(rows).items()}
    return {task: group for task, group in known.items() if group}


def _told(row: Row) -> Mapping[str, Any]:
    """What the first seed's retriever told of its identifiers; empty where it told nothing."""
    found: Any = (row.records[0].get("details") or {}).get("identifiers") or {}
    return found if isinstance(found, dict) and found.get("levels") else {}


def _members(group: Sequence[Row]) -> list[tuple[list[Row], Mapping[str, Any]]]:
    """Retrievers with the very same identifiers are drawn once."""
    found: dict[str, tuple[list[Row], Mapping[str, Any]]] = {}
    for row in group:
        told = _told(row)
        key = str(told.get("digest") or (row.retriever, told["levels"]))
        found.setdefault(key, ([], told))[0].append(row)
    return list(found.values())


def _keys() -> list[Any]:
    from matplotlib.patches import Patch

    grey = "#777777"
    return [
        Patch(facecolor=style.toned(grey, 0.4), label="codes used"),
        Patch(facecolor=style.toned(grey, 1.2), label="perplexity: as many, used evenly"),
    ]


def _panel(panel: Any, task: str, members: list[tuple[list[Row], Mapping[str, Any]]]) -> None:
    names, paradigms, place = [], [], 0
    for heads, told in members:
        tone = style.colour(heads[0].paradigm)
        more = f" +{len(heads) - 1}" if len(heads) > 1 else ""
        if place:
            panel.axhline(place - 0.5, color="#dddddd", linewidth=0.8)
        for number, level in enumerate(told["levels"]):
            size, used, even = level["size"], level["used"], level["perplexity"]
            both = (
                panel.barh([place], [100 * used / size], height=0.7, color=style.toned(tone, 0.4))[0],
                panel.barh([place], [100 * even / size], height=0.34, color=style.toned(tone, 1.2))[0],
            )
            alike = ", ".join(row.retriever for row in heads)
            for bar in both:
                style.hover(bar, f"{alike}: level {number + 1} uses {used} of {size} codes, perplexity {even:.1f}")
            axes.beside(panel, place, f"{used:,} of {size:,}, {quantity(even)}")
            names.append(
                f"{style.shortened(heads[0].retriever, 26)}{more}, level 1" if not number else f"level {number + 1}"
            )
            paradigms.append(heads[0].paradigm)
            place += 1
    axes.listed(panel, names, paradigms)
    panel.set_yticks(range(place), [_tick(name, each) for name, each in zip(names, paradigms, strict=True)])
    panel.set_xlim(0, 100)
    panel.set_xlabel("share of the level's codes, %; at the right codes used, perplexity")
    axes.headed(panel, task, points.data_of(members[0][0]), recall=False)


def _tick(name: str, paradigm: str) -> str:
    return name if name.startswith("level ") else style.signed(name, paradigm, 40)

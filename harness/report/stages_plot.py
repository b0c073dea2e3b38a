"""Where the time of a query goes: its stages in milliseconds, and as shares of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.report import axes, points, style
from harness.report.words import quantity
from harness.results.rows import Row

REST = "rest"
CUT = 12.0  # times the median: longer bars are cut
LOOKS = {  # the tone of a stage's bar and its pattern, the same for every paradigm's colour
    "encode": (0.3, ""),
    "search": (1.0, ""),
    "decode": (0.75, "//"),
    "rerank": (1.35, ""),
    REST: (0.0, ""),
}
OTHERS = ((0.55, ".."), (0.55, "xx"), (0.9, "\\\\"))  # stages of other names


def time_by_stage(rows: Sequence[Row], folder: Path) -> list[Path]:
    groups = _groups(rows)
    names = list(dict.fromkeys(name for group in groups.values() for row in group for name in stages(row)))
    names.sort(key=lambda name: [*LOOKS, name].index(name) if name in LOOKS else len(LOOKS) - 1.5)
    looks = {name: LOOKS.get(name) or OTHERS[place % len(OTHERS)] for place, name in enumerate(names)}
    shown = {task: (group, looks) for task, group in groups.items()}
    return style.drawn(
        shown,
        _panels,
        folder,
        "stages",
        height=lambda group: axes.tall(len(group[0])),
        across=2,
        widths=(3, 2),
        paradigms={row.paradigm for group in groups.values() for row in group},
        keys=[_key(name, *look) for name, look in looks.items()],
    )


def alt(rows: Sequence[Row]) -> str:
    def said(group: Sequence[Row]) -> str:
        words = []
        for row in (group[0], group[-1]) if len(group) > 1 else group:
            spent = stages(row)
            most = max(spent, key=lambda name: spent[name])
            words.append(f"{row.retriever} {quantity(sum(spent.values()))} ms, most of it {most}")
        return ", ".join(words)

    told = "Milliseconds a query by stage, from the fastest to the slowest contestant. "
    return told + points.briefly(_groups(rows), said)


def stages(row: Row) -> dict[str, float]:
    """Milliseconds a query; empty where the retriever names no stages."""
    rate = points.speed(row)
    timed: list[Any] = [(each["speed"] or {"offline": None})["offline"] or {} for each in row.records]
    names = dict.fromkeys(name for each in timed for name in each.get("stages") or ())
    spent = {name: row.mean("speed", "offline", "stages", name) for name in names}
    known = {name: 1000 * seconds for name, seconds in spent.items() if seconds is not None}
    if not rate or not known:
        return {}
    return known | {REST: max(0.0, 1000 / rate.value - sum(known.values()))}


def _groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The fastest first."""
    staged = {task: [row for row in group if stages(row)] for task, group in points.contestants(rows).items()}
    return {task: sorted(group, key=_whole) for task, group in staged.items() if group}


def _whole(row: Row) -> float:
    return sum(stages(row).values())


def limit(wholes: Sequence[float]) -> float:
    """Where the axis ends: bars that would leave nothing to see of the others are cut."""
    usual = sorted(wholes)[len(wholes) // 2]
    return 1.15 * max(each for each in wholes if each <= CUT * usual)


def _key(name: str, share: float, pattern: str) -> Any:
    from matplotlib.patches import Patch

    from harness.machine import escaping

    return Patch(facecolor=style.toned("#777777", share), edgecolor="#444444", hatch=pattern, label=escaping.plot(name))


def _panels(panels: list[Any], task: str, group: tuple[list[Row], dict[str, tuple[float, str]]]) -> None:
    rows, looks = group
    axes.listed(panels[0], [row.retriever for row in rows], [row.paradigm for row in rows])
    axes.listed(panels[1], [row.retriever for row in rows], [row.paradigm for row in rows])
    panels[1].tick_params(labelleft=False)
    end = limit([_whole(row) for row in rows])
    for place, row in enumerate(rows):
        spent, whole = stages(row), _whole(row)
        begin = 0.0
        for name in (name for name in looks if name in spent):
            look = _look(style.colour(row.paradigm), *looks[name])
            words = f"{points.named(row)}: {name} {quantity(spent[name])} ms of {quantity(whole)} a query"
            for panel, scale in zip(panels, (1.0, 100 / whole), strict=True):
                (bar,) = panel.barh([place], [spent[name] * scale], left=begin * scale, height=0.66, **look)
                style.hover(bar, words)
            begin += spent[name]
        cut = begin > end
        panels[0].annotate(
            f"{quantity(whole)} »" if cut else quantity(whole),
            (min(begin, end), place),
            xytext=(-4 if cut else 4, 0),
            ha="right" if cut else "left",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0} if cut else None,
            textcoords="offset points",
            va="center",
            fontsize=style.SMALL,
        )
    panels[0].set_xlim(0, end)
    panels[1].set_xlim(0, 100)
    panels[0].set_xlabel("ms a query, all queries at once")
    panels[1].set_xlabel("share of it, %")
    axes.headed(panels[0], task, points.data_of(rows), recall=False)


def _look(tone: str, share: float, pattern: str) -> dict[str, Any]:
    edge = style.toned(tone, 1.4)
    return {"facecolor": style.toned(tone, share), "edgecolor": edge, "hatch": pattern, "linewidth": 0.5}

"""What the axes of all plots share: titles, logarithmic scales with few plain ticks, levels, names down the side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from harness.machine import escaping
from harness.report import style
from harness.report.labels import Label

COUNTS = {"items": "candidates", "queries": "queries"}


def headed(panel: Any, title: str, data: Any, said: str = "", recall: bool = True) -> None:
    """A title, and below it what was measured: that data is generated, its candidates, queries, and `said`.

    With `recall`, what is found is drawn, and chance and ceiling are told.
    """
    panel.set_title(style.shortened(title, 90))
    words = described(data, recall) + (f", {said}" if said else "")
    panel.annotate(
        escaping.plot(words),
        (0.0, 1.0),
        xycoords="axes fraction",
        xytext=(0, 6),
        textcoords="offset points",
        fontsize=style.SMALL,
        color=style.FAINT,
    ).set_in_layout(False)


def described(data: Any, recall: bool = True) -> str:
    words = ["generated data"] if data["generated"] else []
    words += [f"{data[key]:,} {name}" for key, name in COUNTS.items() if data[key] is not None]
    for name, height in levels(data).items() if recall else ():
        words.append(f"{name} {height:.3g} %")
    return ", ".join(words)


def levels(data: Any) -> dict[str, float]:
    """The chance level and the ceiling of hit@1, in per cent."""
    found = {"chance": 100 * min(data["chance"].values())} if data["chance"] else {}
    return found | ({} if data["ceiling"] is None else {"ceiling": 100 * data["ceiling"]})


def level(panel: Any, height: float, text: str, line: str = "--") -> Label:
    """A line across, when the limits are settled; its name goes to the line's end."""
    panel.axhline(height, color="#9a9a9a", linestyle=line, linewidth=0.9, zorder=1)
    return Label(panel.get_xlim()[1], height, text, style.FAINT)


def plainly(value: float, place: Any = None) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.10g}"


def logarithmic(axis: Any, low: float, high: float) -> None:
    """From low to high, both above zero, with a few plain numbers whether that is a factor of 1.1 or a million."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

    if axis.axis_name == "x":
        axis.axes.set_xscale("log")
        axis.axes.set_xlim(low, high)
    else:
        axis.axes.set_yscale("log")
        axis.axes.set_ylim(low, high)
    decades = math.log10(high / low)
    if decades < 0.45:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    else:
        subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if decades < 1.1 else (1.0, 2.0, 5.0) if decades < 3.5 else (1.0,)
        axis.set_major_locator(LogLocator(subs=subs, numticks=20))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(plainly)
    axis.set_minor_formatter(NullFormatter())


def around(values: Sequence[float], least: float = 1.6, room: float = 0.08) -> tuple[float, float]:
    """Limits of a logarithmic axis around these, at least so many times apart."""
    low, high = math.log(min(values)), math.log(max(values))
    span = max(high - low, math.log(least))
    middle = (low + high) / 2
    half = span * (0.5 + room)
    return math.exp(middle - half), math.exp(middle + half)


def zoomed(values: Sequence[float], least: float = 5.0, room: float = 0.08) -> tuple[float, float]:
    """Limits of an axis of per cents around these: not 0 to 100, but nothing is cut off either."""
    low, high = min(values), max(values)
    middle, half = (low + high) / 2, max(high - low, least) * (0.5 + room)
    return max(-1.0, middle - half), min(101.0, middle + half)


def listed(panel: Any, names: Sequence[str], paradigms: Sequence[str]) -> None:
    """Names down the side, the first on top, each with its paradigm's mark and colour."""
    panel.set_yticks(range(len(names)), [style.signed(*each) for each in zip(names, paradigms, strict=True)])
    for text, paradigm in zip(panel.get_yticklabels(), paradigms, strict=True):
        text.set_color(style.toned(style.colour(paradigm), 1.25))
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0, labelsize=9)
    panel.grid(False, axis="y")
    panel.spines["left"].set_visible(False)


def tall(count: int, each: float = 0.2) -> float:
    """The height in inches of axes with so many names down their side."""
    return 0.05 + each * max(2, count)


def beside(panel: Any, place: float, text: str) -> None:
    """A number at the right of a name's line, outside of the axes."""
    panel.annotate(
        text,
        (1.0, place),
        xycoords=("axes fraction", "data"),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=style.SMALL,
        color=style.INK,
    )


def cornered(panel: Any, text: str) -> None:
    """A remark in the lower right corner."""
    panel.annotate(
        text,
        (1.0, 0.0),
        xycoords="axes fraction",
        xytext=(-3, 4),
        textcoords="offset points",
        ha="right",
        fontsize=style.SMALL,
        color=style.FAINT,
    )

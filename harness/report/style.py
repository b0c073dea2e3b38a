"""How all plots of a run look: colours and markers by paradigm, fonts, sizes; and the one function that writes them.

Every plot calls `drawn`, which makes SVG and PNG: the same bytes from the same numbers. Text in the SVG stays text, and
what `hover` was told of an artist is shown where the pointer rests on it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from harness.machine import escaping, files

COLOURS = {
    "single-tower": "#c1553b",
    "dual-tower": "#2f6db3",
    "generative": "#3a8f4d",
    "hybrid": "#8a5aa8",
    "control": "#666666",
}
MARKERS = {
    "single-tower": "s",
    "dual-tower": "o",
    "generative": "^",
    "hybrid": "D",
    "control": "X",
}  # told in grey, too
SIGNS = {"s": "■", "o": "●", "^": "▲", "D": "◆", "X": "✖", "v": "▼"}  # the same, inside text
OTHER, OTHER_MARKER = "#222222", "v"  # of a paradigm that others named
INK, FAINT, PALE = "#333333", "#6b6b6b", "#e4e4e4"
SMALL = 8.5
WIDTH = 8.0  # inches
AROUND = 0.95  # inches that title, numbers and the axis's name take
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with Matplotlib; a browser without it takes its own sans-serif
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 20.0,  # a line below it tells what was measured
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.edgecolor": "#999999",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": PALE,
    "grid.linewidth": 0.7,
    "xtick.color": "#999999",
    "ytick.color": "#999999",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "hatch.linewidth": 0.6,
    "figure.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "recall",  # instead of chance: the same numbers give the same file
}

UNSAID: dict[str, dict[str, str | None]] = {  # no date, no version: what others draw from the same numbers is the same
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "png": {"Software": None},
}

Finish = Callable[[], None]  # what can be placed only when the axes have their places: labels


def colour(paradigm: str) -> str:
    return COLOURS.get(paradigm, OTHER)


def marker(paradigm: str) -> str:
    return MARKERS.get(paradigm, OTHER_MARKER)


def signed(name: str, paradigm: str, most: int = 34) -> str:
    """A name with the mark of its paradigm, for where no marker stands: at bars."""
    return f"{SIGNS[marker(paradigm)]} {shortened(name, most)}"


def shortened(name: str, most: int = 34) -> str:
    """Long names lose their middle; what tells variants apart stands at the end."""
    plain = escaping.plot(name)
    return plain if len(plain) <= most else f"{plain[: most // 2 - 1]}…{plain[most // 2 - most :]}"


def toned(tone: str, share: float) -> str:
    """A colour mixed with white (share below 1) or with black (above)."""
    parts = [int(tone[place : place + 2], 16) for place in (1, 3, 5)]
    mixed = [255 - (255 - part) * share if share <= 1 else part * (2 - share) for part in parts]
    return "#" + "".join(f"{round(part):02x}" for part in mixed)


def hover(artist: Any, text: str) -> None:
    """What the SVG shows where the pointer rests on this artist. Travels as its id, which `drawn` makes a number."""
    artist.set_gid(_HOVER + "\n".join(map(escaping.line, text.split("\n"))))


@contextmanager
def styled() -> Iterator[None]:
    """Whatever was set before, here or in a file of the user's, is set aside and comes back."""
    from matplotlib import style

    with style.context(STYLE, after_reset=True):
        yield


def drawn(
    groups: Mapping[str, Any],
    panel_of: Callable[[Any, str, Any], Finish | None],
    folder: Path,
    name: str,
    *,
    height: Callable[[Any], float] = lambda group: 2.8,
    across: int = 1,
    widths: Sequence[float] | None = None,
    paradigms: Collection[str] = (),
    keys: Sequence[Any] = (),
) -> list[Path]:
    """A figure with a row for each group, as SVG and PNG; none where there are no groups.

    `panel_of` draws a row: it gets its panel, a list of them where there are several `across`. `height`: of a row's
    axes in inches, without titles and numbers. The legend has the paradigms, then `keys`.
    """
    if not groups:
        return []
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with styled():
        heights = [height(group) for group in groups.values()]
        figure = Figure(figsize=(WIDTH, sum(heights) + AROUND * len(heights) + 0.35), layout="constrained")
        FigureCanvasAgg(figure)
        layout: Any = figure.get_layout_engine()
        layout.set(h_pad=0.08, w_pad=0.08)
        panels = figure.subplots(len(groups), across, squeeze=False, height_ratios=heights, width_ratios=widths)
        finishes = [
            panel_of(list(row) if across > 1 else row[0], title, group)
            for row, (title, group) in zip(panels, groups.items(), strict=True)
        ]
        _legend(figure, paradigms, keys)
        layout.execute(figure)
        figure.set_layout_engine(None)  # from here on all axes stay where they are
        for finish in finishes:
            if finish is not None:
                finish()
        return [_written(figure, folder / f"{name}.{kind}") for kind in ("svg", "png")]


def _legend(figure: Any, paradigms: Collection[str], keys: Sequence[Any]) -> None:
    from matplotlib.lines import Line2D

    known = [each for each in COLOURS if each in paradigms] + sorted(set(paradigms) - COLOURS.keys())
    handles = [
        Line2D([], [], linestyle="", marker=marker(each), color=colour(each), label=escaping.plot(each))
        for each in known
    ]
    blanks = [Line2D([], [], linestyle="", label="")] * max(0, len(keys) - len(handles))
    rows = [(len(handles) + len(keys), [*handles, *keys])]  # all in a row, or paradigms above and keys below
    rows += [(max(len(handles), len(keys)), [*handles, *blanks, *keys])] if handles and keys else []
    rows += [(across, [*handles, *keys]) for across in range(len(handles) + len(keys) - 1, 0, -1)]
    for across, shown in rows if rows[0][0] else ():
        legend = figure.legend(
            handles=[each for place in range(across) for each in shown[place::across]],  # it fills columns
            loc="outside upper left",
            ncols=across,
            handletextpad=0.4,
            handlelength=1.6,
            columnspacing=1.1,
            borderpad=0.2,
        )
        if across == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()


def _written(figure: Any, path: Path) -> Path:
    buffer = io.BytesIO()
    kind = path.suffix[1:]
    figure.savefig(buffer, format=kind, metadata=UNSAID[kind])
    content = buffer.getvalue()
    files.write(path, _with_titles(content.decode(), path.stem).encode() if kind == "svg" else content)
    return path


_HOVER = "hover: "


def _with_titles(svg: str, name: str) -> str:
    """Ids that carry words become numbers, unique among a page's plots, and the words a title."""
    number = count(1)
    return re.sub(
        f'<g id="{_HOVER}([^"]*)">', lambda found: f'<g id="{name}-{next(number)}"><title>{found[1]}</title>', svg
    )

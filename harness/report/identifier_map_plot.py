"""Candidates on a plane, near each other where their vectors are, coloured by the first tokens of their identifiers.

At the right the largest group of them alone, by second tokens. From the maps that a run keeps of its first seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.report import axes, points, style
from harness.results.rows import Row
from harness.store.maps import Map
from harness.store.run_folder import RunFolder, cell_name

MOST = 6  # maps that are drawn
# Told apart by those who don't see all colours (Paul Tol's "muted"), and by shape: the most frequent token first.
LOOKS = (
    ("#332288", "o"),
    ("#CC6677", "^"),
    ("#117733", "s"),
    ("#88CCEE", "D"),
    ("#882255", "v"),
    ("#DDCC77", "P"),
    ("#AA4499", "X"),
    ("#44AA99", "*"),
)
REST = "#b0b0b0"
SIZES = {"P": 4.6, "X": 4.6, "*": 6.0, "D": 3.5, "s": 3.8}
ROOM = 0.05  # around a group


@dataclass(frozen=True)
class Shown:
    rows: tuple[Row, ...]  # retrievers with this very map
    map: Map

    @property
    def title(self) -> str:
        more = f" +{len(self.rows) - 1}" if len(self.rows) > 1 else ""
        return f"{self.rows[0].task}: {self.rows[0].retriever}{more}"


def maps(run: RunFolder, rows: Sequence[Row]) -> list[Shown]:
    """Of all rows that have one in which any two candidates share a first token; the same map once."""
    found: dict[tuple[str, bytes, bytes], Shown] = {}
    for group in points.contestants(rows).values():
        for row in group:
            kept = _kept(run, row)
            if kept is not None and kept.chance > 0:
                key = (row.task, kept.places.tobytes(), kept.tokens.tobytes())
                found[key] = Shown((*(found[key].rows if key in found else ()), row), kept)
    return list(found.values())


def _kept(run: RunFolder, row: Row) -> Map | None:
    """Of the first seed; of a task in folds, of the first fold."""
    first = row.records[0]
    return run.read_map(cell_name(first["task"], row.retriever, first["seed"]))


def candidates_by_token(shown: Sequence[Shown], folder: Path) -> list[Path]:
    groups = {each.title: each for each in shown[:MOST]}
    return style.drawn(
        groups,
        _panels,
        folder,
        "identifier-map",
        height=lambda each: 2.3,
        across=2,
        keys=_left_out(len(shown) - MOST) if len(shown) > MOST else (),
    )


def alt(shown: Sequence[Shown]) -> str:
    def said(each: Shown) -> str:
        nearest, shared, chance = _shares(each.map)
        return f"{each.title}: {shared} of the {nearest} nearest have the same first token, by chance {chance}."

    told = (
        "Candidates on a plane, near each other where their vectors are (t-SNE), coloured by the first token of their "
        "identifiers; beside them those of the most frequent first token, by the second. Nearest are those with the "
        "nearest vectors, before they were brought to a plane."
    )
    more = [f"Maps besides: {len(shown) - MOST}."] if len(shown) > MOST else []
    return " ".join([told, *map(said, shown[:MOST]), *more])


def _shares(found: Map) -> tuple[int, str, str]:
    """How many nearest candidates, the share of them with the same first token, and what chance would give."""
    return min(found.nearest, len(found.positions) - 1), _percent(found.shared), _percent(found.chance)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.2g} %"


def _left_out(count: int) -> list[Any]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], linestyle="", label=f"{count} more, not drawn")]


def _panels(panels: list[Any], title: str, shown: Shown) -> None:
    whole, part = panels
    places, tokens = shown.map.places, shown.map.tokens
    drawn, data = len(tokens), points.data_of(shown.rows)
    _scattered(whole, places, tokens[:, 0], "first token")
    axes.headed(whole, title, data, f"{drawn:,} of them drawn" if drawn < data["items"] else "", recall=False)
    nearest, shared, chance = _shares(shown.map)
    said = f"of the {nearest} nearest by vector {shared}\nshare the first token, by chance {chance}"
    whole.set_xlabel(said, loc="left", fontsize=style.SMALL)
    if tokens.shape[1] > 1:
        _largest(part, places, tokens)
    else:
        part.set_axis_off()
    for panel in panels:
        panel.set_aspect("equal", adjustable="datalim")
        panel.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)
        panel.grid(False)


def _largest(panel: Any, places: np.ndarray, tokens: np.ndarray) -> None:
    """The candidates of the most frequent first token, among those around them."""
    first = _frequent(tokens[:, 0])[0]
    inside = tokens[:, 0] == first
    low, high = places[inside].min(axis=0), places[inside].max(axis=0)
    room = ROOM * (high - low)
    around = ((places >= low - room) & (places <= high + room)).all(axis=1) & ~inside
    _points(panel, places[around], "_", style.PALE, "o", 2.2)
    _scattered(panel, places[inside], tokens[inside, 1], "second token")
    panel.set_xlabel(f"first token {first} alone; pale: others around", loc="left", fontsize=style.SMALL)


def _frequent(tokens: np.ndarray) -> list[int]:
    """The most frequent ones that any two share, the most frequent first; the smaller one where two are as frequent."""
    known, counts = np.unique(tokens, return_counts=True)
    order = np.lexsort((known, -counts))
    return [int(known[place]) for place in order if counts[place] > 1][: len(LOOKS)] or [int(known[order[0]])]


def _scattered(panel: Any, places: np.ndarray, tokens: np.ndarray, what: str) -> None:
    """The most frequent tokens in a look of their own, each with its number of candidates beside the axes."""
    named = _frequent(tokens)
    rest = ~np.isin(tokens, named)
    label = f"{len(np.unique(tokens[rest])):,} others ({rest.sum():,})"
    below = [_points(panel, places[rest], label, REST, "o", 2.6)] if rest.any() else []
    lines = []
    for token, (tone, mark) in zip(named, LOOKS, strict=False):
        own = tokens == token
        lines.append(_points(panel, places[own], f"{token} ({own.sum():,})", tone, mark, SIZES.get(mark, 4.0)))
        style.hover(lines[-1], f"{what} {token}: {own.sum():,} of {len(tokens):,} candidates")
    panel.legend(
        handles=[*lines, *below],
        title=what,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.03),
        handletextpad=0.2,
        borderaxespad=0.2,
        fontsize=style.SMALL,
        title_fontsize=style.SMALL,
        alignment="left",
    )


def _points(panel: Any, places: np.ndarray, label: str, tone: str, mark: str, size: float) -> Any:
    (line,) = panel.plot(*places.T, mark, label=label, color=tone, markersize=size, markeredgewidth=0)
    return line

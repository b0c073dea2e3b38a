"""Names at points and at the ends of lines, placed so that none lies on another: instead of a legend.

Plots call these when their axes have their places. All is measured in points (1/72 inch), and the same every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from harness.report import style

MARKER = 5.0  # half of what a marker covers
DISTANCES = (8.0, 13.0, 20.0, 28.0, 38.0, 50.0, 64.0, 80.0, 100.0, 125.0, 155.0, 190.0)
ANGLES = 24
FORBIDDEN = 1e6
SWEEPS = 3  # so often each label is placed again, the others where they are


@dataclass(frozen=True)
class Label:
    x: float  # in data
    y: float
    text: str
    colour: str


def at_points(panel: Any, labels: Sequence[Label], lines: Sequence[tuple[Any, Any]] = ()) -> list[Any]:
    """A name near each point, with a thin line to it where it isn't beside it; returns the texts.

    `lines`: the xs and ys of what is drawn, in data, which names had rather not lie on. A name for which there is no
    room at all is left out: the pointer tells it.
    """
    scale = 72 / panel.figure.dpi
    points = panel.transData.transform([(each.x, each.y) for each in labels]) * scale
    frame = panel.get_window_extent().extents * scale
    sizes = np.array([_size(panel, each.text) for each in labels])
    strokes = [_sampled(panel.transData.transform(np.column_stack(line)) * scale) for line in lines]
    ink = np.concatenate(strokes) if strokes else np.empty((0, 2))
    marks = np.concatenate([points - MARKER, points + MARKER], axis=1)
    options = [_options(point, size) for point, size in zip(points, sizes, strict=True)]
    costs = [
        _alone(boxes, point, np.delete(marks, number, 0), marks[number], ink, frame)
        for number, (boxes, point) in enumerate(zip(options, points, strict=True))
    ]
    crowded = sorted(range(len(labels)), key=lambda number: -float(np.sort(costs[number])[:12].mean()))
    across = sorted(range(len(labels)), key=lambda number: float(points[number, 0]))
    tried = [_placed(order, options, points, costs) for order in (crowded, across, across[::-1])]
    chosen, _ = min(tried, key=lambda each: (-len(each[0]), each[1]))
    return [
        _written(panel, labels[number], options[number][place], points[number])
        for number, place in sorted(chosen.items())
    ]


def _placed(
    order: Sequence[int], options: Sequence[np.ndarray], points: np.ndarray, costs: Sequence[np.ndarray]
) -> tuple[dict[int, int], float]:
    """The place of each name, where there is one, and what all cost: one after the other, and then again."""
    chosen: dict[int, int] = {}
    whole = 0.0
    for _ in range(SWEEPS):
        before, whole = dict(chosen), 0.0
        for number in order:
            chosen.pop(number, None)
            others = [(options[each][place], points[each]) for each, place in chosen.items()]
            together = costs[number] + _beside(options[number], points[number], others)
            best = int(together.argmin())
            if together[best] < FORBIDDEN:
                chosen[number] = best
                whole += float(together[best])
        if chosen == before:
            break
    return chosen, whole


def _size(panel: Any, text: str) -> tuple[float, float]:
    """Width and height, with a little air."""
    shown = panel.text(0, 0, text, fontsize=style.SMALL)
    extent = shown.get_window_extent()
    shown.remove()
    scale = 72 / panel.figure.dpi
    return extent.width * scale + 3.0, style.SMALL * 1.25


def _options(point: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Boxes around a point, float [options, left bottom right top]: the nearest to the right first."""
    angles = np.arange(ANGLES) * 2 * np.pi / ANGLES
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    reach = np.array(DISTANCES)[:, None, None] * ways + ways * size / 2  # a wide name begins where its point ends
    centres = point + reach.reshape(-1, 2)
    return np.concatenate([centres - size / 2, centres + size / 2], axis=1)


def _alone(
    boxes: np.ndarray, point: np.ndarray, marks: np.ndarray, own: np.ndarray, ink: np.ndarray, frame: np.ndarray
) -> np.ndarray:
    """What each place costs whatever the other names do: how far it is, what it covers."""
    nearest = np.clip(point, boxes[:, :2], boxes[:, 2:])
    far = np.hypot(*(nearest - point).T)
    outside = (boxes[:, :2] < frame[:2] + 1).any(axis=1) | (boxes[:, 2:] > frame[2:] - 1).any(axis=1)
    covered = _overlaps(boxes, marks).sum(axis=1)
    inside = ((ink >= boxes[:, None, :2]) & (ink <= boxes[:, None, 2:])).all(axis=2).sum(axis=1) if len(ink) else 0
    passed = _crossed(point, nearest, marks)
    right = 0.5 * (boxes[:, 0] < point[0])
    hidden = _overlaps(boxes, own[None])[:, 0]
    return 1.2 * far + 60.0 * covered + 60.0 * hidden + 3.0 * inside + 12.0 * passed + right + FORBIDDEN * outside


def _beside(boxes: np.ndarray, point: np.ndarray, others: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """What it costs beside names that have their places: names never overlap, and lines don't run through them."""
    cost = np.zeros(len(boxes))
    if others:
        taken = np.array([box for box, _ in others])
        cost += FORBIDDEN * _overlaps(boxes, taken).any(axis=1)
        nearest = np.clip(point, boxes[:, :2], boxes[:, 2:])
        cost += 80.0 * _crossed(point, nearest, taken)
        theirs = np.array([point for _, point in others])
        runs = _along(theirs, np.clip(theirs, taken[:, :2], taken[:, 2:]))[None]
        lows, highs = boxes[:, None, None, :2], boxes[:, None, None, 2:]
        cost += 80.0 * np.any(((runs >= lows) & (runs <= highs)).all(axis=3), axis=2).sum(axis=1)
    return cost


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool [boxes, others]."""
    inside = (boxes[:, None, :2] < others[None, :, 2:]) & (boxes[:, None, 2:] > others[None, :, :2])
    return np.asarray(inside.all(axis=2))


def _along(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Places on the way, float [ways, 10, 2]."""
    return start[:, None] + np.linspace(0.1, 1.0, 10)[:, None] * (end - start)[:, None]


def _crossed(point: np.ndarray, ends: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """How many boxes a line from the point to each end runs through."""
    way = _along(np.broadcast_to(point, ends.shape), ends)[:, :, None]
    return np.asarray(np.any(((way >= boxes[:, :2]) & (way <= boxes[:, 2:])).all(axis=3), axis=1).sum(axis=1))


def _sampled(line: np.ndarray, step: float = 4.0) -> np.ndarray:
    """Places along a line, so close that no name hides between two."""
    parts = [line[:1]]
    for start, end in pairwise(line):
        count = max(1, int(np.hypot(*(end - start)) / step))
        parts.append(start + (np.arange(1, count + 1) / count)[:, None] * (end - start))
    return np.concatenate(parts)


def _written(panel: Any, label: Label, box: np.ndarray, point: np.ndarray) -> Any:
    centre = (box[:2] + box[2:]) / 2
    far = float(np.hypot(*(np.clip(point, box[:2], box[2:]) - point)))
    nearest = np.clip((point - box[:2]) / (box[2:] - box[:2]), 0.0, 1.0)
    return panel.annotate(
        label.text,
        (label.x, label.y),
        xytext=tuple(centre - point),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=style.SMALL,
        color=style.toned(label.colour, 1.25),
        zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.65, "pad": 0.3},
        arrowprops={
            "arrowstyle": "-",
            "color": label.colour,
            "linewidth": 0.6,
            "alpha": 0.7,
            "shrinkA": 0.0,
            "shrinkB": 4.0,
            "relpos": tuple(nearest),
        }
        if far > 2.2 * MARKER
        else None,
    )


def at_ends(panel: Any, labels: Sequence[Label]) -> Any:
    """Names in a column at the right of the axes, in the order of their lines; returns what moves them apart.

    They are there before the layout is made, which leaves them their room.
    """
    texts = [
        panel.annotate(
            each.text,
            (each.x, each.y),
            xytext=(1.025, 0.5),
            textcoords="axes fraction",
            va="center",
            fontsize=style.SMALL,
            color=style.toned(each.colour, 1.25),
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": each.colour,
                "linewidth": 0.6,
                "alpha": 0.6,
                "shrinkA": 1.0,
                "shrinkB": 3.0,
                "relpos": (0.0, 0.5),
            },
        )
        for each in labels
    ]

    def finish() -> None:
        frame = panel.get_window_extent()
        heights = panel.transData.transform([(each.x, each.y) for each in labels])[:, 1] if labels else np.empty(0)
        gap = style.SMALL * 1.3 * panel.figure.dpi / 72
        for text, height in zip(texts, apart(heights, gap, (frame.y0, frame.y1 - gap / 3)), strict=True):
            text.set_position((1.025, (height - frame.y0) / frame.height))

    return finish


def apart(heights: np.ndarray, gap: float, ends: tuple[float, float]) -> np.ndarray:
    """The same heights in the same order, between the ends, moved as little as keeps each a gap from the next."""
    order = np.argsort(heights, kind="stable")
    groups: list[list[int]] = []
    for place in order.tolist():
        groups.append([place])
        while len(groups) > 1 and _top(heights, groups[-2], gap) + gap > _bottom(heights, groups[-1], gap):
            groups[-2:] = [groups[-2] + groups[-1]]
    found = heights.astype(float)
    for group in groups:
        found[group] = _bottom(heights, group, gap) + gap * np.arange(len(group))
    steps = gap * np.arange(len(order))
    below_top = np.minimum(found[order], ends[1] - steps[::-1])
    found[order] = np.maximum(below_top, ends[0] + steps) if len(order) else below_top
    return found


def _bottom(heights: np.ndarray, group: list[int], gap: float) -> float:
    return float(heights[group].mean() - gap * (len(group) - 1) / 2)


def _top(heights: np.ndarray, group: list[int], gap: float) -> float:
    return float(heights[group].mean() + gap * (len(group) - 1) / 2)

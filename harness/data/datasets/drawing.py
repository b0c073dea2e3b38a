"""Colours, outlines and grain for the generated pictures and videos. Called by shapes and motions."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from harness.data.datasets.chance import Dice, key, mix

# Seven colours that no amount of grain confuses, and what they are called.
COLOURS = np.array(
    [(222, 42, 38), (238, 216, 48), (52, 178, 58), (64, 208, 208), (58, 88, 238), (168, 62, 202), (240, 240, 240)],
    dtype=np.float32,
)
COLOUR_WORDS = (
    ("red", "crimson", "scarlet"),
    ("yellow", "golden", "lemon"),
    ("green", "emerald", "grass-green"),
    ("turquoise", "cyan", "teal"),
    ("blue", "cobalt", "royal-blue"),
    ("purple", "violet", "plum"),
    ("white", "ivory", "snow-white"),
)
GRAIN = 4.0  # largest deviation of a value, of 255
TABLE = 1 << 17
TIP = (1.15, 0.45)  # radius of a star's tips and of its notches


def outline(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """About how far each point lies outside a figure of radius 1, y downwards; negative inside."""
    if name == "circle":
        return np.hypot(x, y) - 1
    if name == "ring":
        return abs(np.hypot(x, y) - np.float32(0.7)) - np.float32(0.3)
    if name == "square":
        return np.maximum(abs(x), abs(y)) - np.float32(0.86)
    if name == "pillar":
        return outline("bar", y, x)
    if name == "cross":
        return np.minimum(
            *(np.maximum(abs(a) - np.float32(1.08), abs(b) - np.float32(0.34)) for a, b in ((x, y), (y, x)))
        )
    if name == "triangle":
        return np.maximum(y, np.float32(0.866) * abs(x) - np.float32(0.5) * y) - np.float32(0.56)
    if name == "bar":
        return np.maximum(abs(x) - np.float32(1.15), abs(y) - np.float32(0.42))
    if name == "dumbbell":
        return np.minimum(np.hypot(abs(x) - np.float32(0.7), y) - np.float32(0.45), outline("bar", x, 2 * y))
    if name == "half disc":
        return np.maximum(np.hypot(x, y - np.float32(0.4)) - np.float32(1.1), y - np.float32(0.4))
    if name == "horseshoe":  # a ring with a gap on its right
        gap = np.maximum(-x, abs(y) - np.float32(0.42))
        return np.maximum(abs(np.hypot(x, y) - np.float32(0.75)) - np.float32(0.3), -gap)
    assert name == "star", name
    # fold the five points onto one edge, from a tip to the next notch
    fifth = np.float32(2 * math.pi / 5)
    angle = abs((np.arctan2(x, -y) + fifth / 2) % fifth - fifth / 2)
    radius = np.hypot(x, y)
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    dx, dy = TIP[1] * math.cos(math.pi / 5) - TIP[0], TIP[1] * math.sin(math.pi / 5)
    length = math.hypot(dx, dy)
    return (along - np.float32(TIP[0])) * np.float32(dy / length) - across * np.float32(dx / length)


def coverage(name: str, x: np.ndarray, y: np.ndarray, radius: np.ndarray | float) -> np.ndarray:
    """How much of each pixel the figure covers, 0 to 1; x and y in pixels from its centre."""
    scale = np.float32(1) / np.asarray(radius, dtype=np.float32)
    return np.clip(np.float32(0.5) - outline(name, x * scale, y * scale) / scale, 0, 1)


def window(centres: np.ndarray, radius: float, side: int) -> tuple[slice, slice]:
    """The rows and columns that a figure can touch on its way through centres [n, (x, y)]: only they are drawn."""
    low = np.maximum(np.floor(centres.min(0) - 1.2 * radius - 1), 0).astype(int)
    high = np.minimum(np.ceil(centres.max(0) + 1.2 * radius + 2), side).astype(int)
    return slice(low[1], max(low[1], high[1])), slice(low[0], max(low[0], high[0]))


@lru_cache(maxsize=1)
def grain() -> np.ndarray:
    uniform = (mix(np.arange(TABLE, dtype=np.uint64) + np.uint64(key("grain"))) >> np.uint64(40)) / float(1 << 24)
    return ((2 * uniform - 1) * GRAIN).astype(np.float32)


def canvas(shape: tuple[int, ...], dice: Dice) -> np.ndarray:
    """A dark, slightly uneven ground, float32."""
    values = math.prod(shape)
    start = dice.below(TABLE - values)
    return grain()[start : start + values].reshape(shape) + np.float32(dice.uniform(22, 40))


def colour(value: int, dice: Dice) -> np.ndarray:  # float32 [3]
    shift = np.array([dice.uniform(-10, 10) for _ in range(3)], dtype=np.float32)
    return COLOURS[value] + shift


def to_bytes(canvas: np.ndarray) -> np.ndarray:
    return np.clip(canvas, 0, 255, out=canvas).astype(np.uint8)


def article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase

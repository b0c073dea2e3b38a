"""Shapes (generated): a small picture of two or three figures in a row, in a column or along a diagonal."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from harness.contract.entry import Entry
from harness.data.datasets.chance import Dice
from harness.data.datasets.drawing import COLOUR_WORDS, article, canvas, colour, coverage, to_bytes, window
from harness.data.datasets.generated import Fact, Generated, GeneratedSettings, World

SIDE = 64  # pixels
RADII = (6.8, 10.2)  # of small and large figures: three large ones still fit side by side
FIGURES = ("circle", "ring", "bar", "pillar", "cross", "triangle")
KINDS = (
    ("circle", "disc", "ball"),
    ("ring", "hoop", "donut"),
    ("bar", "plank", "dash"),
    ("pillar", "column", "post"),
    ("cross", "plus", "plus sign"),
    ("triangle", "wedge", "pyramid"),
)
FAMILIES = (
    ("round shape", "rounded figure", "curved form"),
    ("oblong shape", "stretched figure", "elongated form"),
    ("cornered shape", "angular figure", "edgy form"),
)
SIZES = (("small", "little", "tiny"), ("large", "big", "huge"))
TEXTURES = (("solid", "plain", "patternless"), ("striped", "banded", "lined"), ("dotted", "spotted", "speckled"))
WITH = (("without a pattern", "in one tone"), ("with stripes", "with bands"), ("with dots", "with spots"))

# Directions from the first figure to the last, in steps of a place: along x, along y (downwards).
STEPS = ((1, 0), (0, 1), (1, 1), (1, -1))
ORDERS = {count: list(permutations(range(count))) for count in (2, 3)}  # which figure stands first, second, third
PLACED = {
    2: (
        (
            "{0} to the left of {1}",
            "{1} to the right of {0}",
            "{0} on the left, {1} on the right",
            "on the right {1}, on the left {0}",
        ),
        ("{0} above {1}", "{1} below {0}", "{0} at the top, {1} at the bottom", "at the bottom {1}, at the top {0}"),
        (
            "{0} in the upper left, {1} in the lower right",
            "{1} below and to the right of {0}",
            "{0} above and to the left of {1}",
        ),
        (
            "{0} in the lower left, {1} in the upper right",
            "{1} above and to the right of {0}",
            "{0} below and to the left of {1}",
        ),
    ),
    3: (
        (
            "from left to right {0}, {1} and {2}",
            "from right to left {2}, {1} and {0}",
            "{1} between {0} on the left and {2} on the right",
            "a row of {0}, {1} and {2}, left to right",
        ),
        (
            "from top to bottom {0}, {1} and {2}",
            "from bottom to top {2}, {1} and {0}",
            "{1} between {0} above and {2} below",
            "a column of {0}, {1} and {2}, top to bottom",
        ),
        (
            "falling from left to right {0}, {1} and {2}",
            "{1} between {0} in the upper left and {2} in the lower right",
            "a falling diagonal of {0}, {1} and {2}",
        ),
        (
            "rising from left to right {0}, {1} and {2}",
            "{1} between {0} in the lower left and {2} in the upper right",
            "a rising diagonal of {0}, {1} and {2}",
        ),
    ),
}
ANYWHERE = {
    2: ("{0} and {1}", "a picture of {0} and {1}", "{0} together with {1}", "there are {0} and {1}"),
    3: (
        "{0}, {1} and {2}",
        "a picture of {0}, {1} and {2}",
        "{0} together with {1} and {2}",
        "there are {0}, {1} and {2}",
    ),
}


def phrase(thing: list[int], dice: Dice) -> str:
    family, kind, colour, size, texture = thing
    words = [dice.pick(SIZES[size])] if size >= 0 else []
    after = ""
    if texture >= 0 and dice.below(3) == 0:
        after = " " + dice.pick(WITH[texture])
    elif texture >= 0:
        words.append(dice.pick(TEXTURES[texture]))
    if colour >= 0:
        words.append(dice.pick(COLOUR_WORDS[colour]))
    noun = dice.pick(KINDS[kind] if kind >= 0 else FAMILIES[family])
    return article(" ".join([*words, noun])) + after


def describe(meaning: list[int], dice: Dice) -> str:
    count, arrangement = meaning[0], meaning[-1]
    phrases = [phrase(thing, dice) for thing in WORLD.things(meaning)]
    if arrangement >= 0:
        direction, order = divmod(arrangement, len(ORDERS[count]))
        template = dice.pick(PLACED[count][direction])
        text = template.format(*(phrases[thing] for thing in ORDERS[count][order]))
    else:
        text = dice.pick(ANYWHERE[count]).format(*dice.shuffled(phrases))
    return text[0].upper() + text[1:] + "." if dice.below(2) else text


Y, X = np.mgrid[:SIDE, :SIDE].astype(np.float32)
# How bright each pixel of a figure is: solid, striped, dotted.
PATTERNS = (
    np.ones((SIDE, SIDE), dtype=np.float32),
    np.where(Y % 4 < 2, 1, 0.3).astype(np.float32),
    np.where((Y % 4 < 2) & (X % 4 < 2), 0.15, 1).astype(np.float32),
)


def render(facts: list[int], dice: Dice) -> np.ndarray:  # uint8 [SIDE, SIDE, 3]
    count = facts[0]
    things = WORLD.things(facts)
    direction, order = divmod(facts[-1], len(ORDERS[count]))
    step = 21.0 if count == 3 else 28.0
    dx, dy = STEPS[direction]
    aside = dice.uniform(-4, 4)  # the whole row up or down, the whole column left or right
    middle_x, middle_y = SIDE / 2 - 0.5 + aside * (dx == 0), SIDE / 2 - 0.5 + aside * (dy == 0)
    picture = canvas((SIDE, SIDE, 3), dice)
    for place, thing in enumerate(ORDERS[count][order]):
        _, kind, tone, size, texture = things[thing]
        away = (place - (count - 1) / 2) * step
        centre = np.array([middle_x + away * dx + dice.uniform(-1, 1), middle_y + away * dy + dice.uniform(-1, 1)])
        radius = RADII[size] * dice.uniform(0.95, 1.05)
        seen = window(centre[None], radius, SIDE)
        x, y = X[seen] - np.float32(centre[0]), Y[seen] - np.float32(centre[1])
        cover = coverage(FIGURES[kind], x, y, radius)[:, :, None]
        part = picture[seen]
        part += cover * (PATTERNS[texture][seen][:, :, None] * colour(tone, dice) - part)
    return to_bytes(picture)


# A vague, a plain and a detailed caption; with 1,000 candidates the ceiling is then about 0.83.
DETAIL = (0.3, 0.6, 0.9)
WORLD = World(
    name="shapes",
    modality="image",
    version=2,
    kind=Fact("kind", len(KINDS), (0.7, 0.7, 0.7)),
    family=2,
    attributes=(Fact("colour", 7, DETAIL), Fact("size", 2, DETAIL), Fact("texture", 3, DETAIL)),
    relations=(Fact("arrangement", len(STEPS) * 6, DETAIL),),
    arrangements={count: np.arange(len(STEPS) * len(orders))[:, None] for count, orders in ORDERS.items()},
    describe=describe,
    render=render,
)


class ShapesSettings(GeneratedSettings):
    world = WORLD


class Shapes(Generated):
    """Made of `ShapesSettings`."""


ENTRY = Entry(
    "harness.data.datasets.shapes:Shapes",
    ShapesSettings,
    about="two or three coloured, textured shapes and how they stand to each other",
    modalities=("image",),
    generated=True,
)

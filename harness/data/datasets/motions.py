"""Motions (generated): eight frames in which two figures move, turn, grow or shrink, and meet or keep apart."""

from __future__ import annotations

import numpy as np

from harness.contract.entry import Entry
from harness.data.datasets.chance import Dice
from harness.data.datasets.drawing import COLOUR_WORDS, article, canvas, colour, coverage, to_bytes, window
from harness.data.datasets.generated import Fact, Generated, GeneratedSettings, World

FRAMES, SIDE = 8, 40
# No disc among them: every figure shows its turning. All start upright, so that each is known by its first frame.
FIGURES = ("square", "bar", "cross", "dumbbell", "half disc", "horseshoe")
KINDS = (
    ("square", "box", "block"),
    ("bar", "rod", "plank"),
    ("cross", "plus", "plus sign"),
    ("dumbbell", "barbell", "weight"),
    ("half-moon", "semicircle", "half-disc"),
    ("horseshoe", "magnet", "open ring"),
)
FAMILIES = (
    ("rectangular shape", "four-sided figure", "quadrilateral"),
    ("notched shape", "indented figure", "waisted form"),
    ("curved shape", "rounded figure", "bent form"),
)
SPINS = (
    ("without turning", "never rotating", "not spinning"),
    ("turning clockwise", "rotating clockwise", "spinning clockwise"),
    ("turning counterclockwise", "rotating counterclockwise", "spinning counterclockwise"),
)
GROWTHS = (
    ("steady-sized", "constant-sized", "unchanging"),
    ("growing", "expanding", "swelling"),
    ("shrinking", "contracting", "dwindling"),
)
MOVING = ("moving", "sliding", "gliding")
SPEEDS = (("slowly", "gently", "calmly"), ("quickly", "fast", "swiftly"))
PATHS = (
    ("to the right", "rightwards", "right"),
    ("to the left", "leftwards", "left"),
    ("down", "downwards", "to the bottom"),
    ("up", "upwards", "to the top"),
)
MEETINGS = (
    ("{0} and {1} never touch", "{0} and {1} stay apart", "{0} and {1} keep their distance", "{0} does not meet {1}"),
    ("{0} meets {1}", "{0} and {1} come together", "{0} bumps into {1}", "{0} and {1} collide"),
)
UNTOLD = ("{0} and {1}", "a video of {0} and {1}", "there are {0} and {1}", "{0} along with {1}")

STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1))  # of each path, y downwards
# (first path, second path, do they meet?): two that go the same way never come together, so those can't meet.
ARRANGEMENTS = np.array(
    [(a, b, meet) for a in range(4) for b in range(4) for meet in range(2) if not (meet and a == b)]
)
DISTANCES = (6.0, 15.0)  # pixels from the first to the last frame, slow and fast
SPIN = (0.0, 0.12, -0.12)  # radians a frame: an eighth of a turn in all, after which no figure looks as it did at first
TILT = 0.1  # radians by which a figure may lean at first
RADII = ((5.4, 5.4), (3.8, 6.6), (6.6, 3.8))  # first and last: the same, growing, shrinking


def phrase(thing: list[int], path: int, dice: Dice) -> str:
    family, kind, colour, spin, growth, speed = thing
    noun = dice.pick(KINDS[kind] if kind >= 0 else FAMILIES[family])
    if colour >= 0:
        noun = f"{dice.pick(COLOUR_WORDS[colour])} {noun}"
    if growth >= 0:
        noun = f"{dice.pick(GROWTHS[growth])} {noun}"
    going = [dice.pick(SPEEDS[speed])] if speed >= 0 else []
    if path >= 0:
        going.insert(dice.below(len(going) + 1), dice.pick(PATHS[path]))
    doings = [" ".join([dice.pick(MOVING), *going])] if going else []
    if spin >= 0:
        doings.append(dice.pick(SPINS[spin]))
    return f"{article(noun)} {' and '.join(dice.shuffled(doings))}".strip()


def describe(meaning: list[int], dice: Dice) -> str:
    *_, first, second, meet = meaning
    things = WORLD.things(meaning)
    phrases = dice.shuffled([phrase(thing, path, dice) for thing, path in zip(things, (first, second), strict=True)])
    text = dice.pick(MEETINGS[meet] if meet >= 0 else UNTOLD).format(*phrases)
    return text[0].upper() + text[1:] + "." if dice.below(2) else text


def middles(paths: tuple[int, int], dice: Dice) -> np.ndarray:  # float [2, 2]
    """Where the ways of two figures that keep apart have their middles: x and y of each."""
    centre = (SIDE - 1) / 2
    flip = np.array([dice.pick((-1, 1)), dice.pick((-1, 1))])
    upright = [path >= 2 for path in paths]
    if upright == [False, False]:  # one lane above the other
        offsets = np.array([(dice.uniform(-3, 3), -9.2), (dice.uniform(-3, 3), 9.2)])
    elif upright == [True, True]:
        offsets = np.array([(-9.2, dice.uniform(-3, 3)), (9.2, dice.uniform(-3, 3))])
    else:  # the level way ends before the upright one's lane, and passes above or below it
        offsets = np.array([(-7.5, -11.5), (13.5, 4.8)])
        if upright[0]:
            offsets = offsets[::-1]
    return centre + offsets * flip


Y, X = np.mgrid[:SIDE, :SIDE].astype(np.float32)
TIME = np.linspace(0, 1, FRAMES)


def render(facts: list[int], dice: Dice) -> np.ndarray:  # uint8 [FRAMES, SIDE, SIDE, 3]
    *_, first, second, meet = facts
    things, paths = WORLD.things(facts), (first, second)
    places = middles(paths, dice)
    meeting = (SIDE - 1) / 2 + np.array([dice.uniform(-2, 2), dice.uniform(-2, 2)])
    reach = 0.38 * sum(RADII[growth][1] for _, _, _, _, growth, _ in things)  # they touch in the last frame
    video = canvas((FRAMES, SIDE, SIDE, 3), dice)
    for thing, path, place in zip(things, paths, places, strict=True):
        _, kind, tone, spin, growth, speed = thing
        step, distance = np.array(STEPS[path]), DISTANCES[speed] * dice.uniform(0.95, 1.05)
        end = meeting - step * reach if meet else place + step * distance / 2
        centres = (end - step * distance * (1 - TIME[:, None])).astype(np.float32)  # [FRAMES, 2]
        radii = np.linspace(*RADII[growth], FRAMES)
        angle = (dice.uniform(-TILT, TILT) + SPIN[spin] * np.arange(FRAMES)).astype(np.float32)
        cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
        seen = window(centres, max(RADII[growth]), SIDE)
        x, y = X[seen] - centres[:, 0, None, None], Y[seen] - centres[:, 1, None, None]
        cover = coverage(FIGURES[kind], cos * x + sin * y, cos * y - sin * x, radii[:, None, None])[..., None]
        part = video[:, *seen]
        part += cover * (colour(tone, dice) - part)
    return to_bytes(video)


# A vague, a plain and a detailed caption; with 1,000 candidates the ceiling is then about 0.86. Conspicuous
# facts are mentioned more often than subtle ones.
CATCHING, PLAIN, SUBTLE = (0.5, 0.75, 0.9), (0.35, 0.6, 0.85), (0.1, 0.25, 0.5)
WORLD = World(
    name="motions",
    modality="video",
    version=2,
    kind=Fact("kind", len(KINDS), (0.8, 0.8, 0.8)),
    family=2,
    attributes=(
        Fact("colour", 7, CATCHING),
        Fact("spin", 3, SUBTLE),
        Fact("growth", 3, PLAIN),
        Fact("speed", 2, PLAIN),
    ),
    relations=(Fact("path 0", 4, CATCHING), Fact("path 1", 4, CATCHING), Fact("meet", 2, PLAIN)),
    arrangements={2: ARRANGEMENTS},
    describe=describe,
    render=render,
)


class MotionsSettings(GeneratedSettings):
    world = WORLD


class Motions(Generated):
    """Made of `MotionsSettings`."""


ENTRY = Entry(
    "harness.data.datasets.motions:Motions",
    MotionsSettings,
    about="shapes that move, turn, grow and meet",
    modalities=("video",),
    generated=True,
)

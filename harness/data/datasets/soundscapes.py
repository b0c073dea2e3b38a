"""Soundscapes (generated): four seconds with two or three sounds out of a dozen kinds."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import permutations

import numpy as np

from harness.contract.dataset import Waveform
from harness.contract.entry import Entry
from harness.data.datasets.chance import Dice, key, mix
from harness.data.datasets.generated import Fact, Generated, GeneratedSettings, World

RATE = 16_000
SECONDS = 4
LENGTHS = (1600, 4480)  # samples of one short or long sound
LEVELS = (0.035, 0.14)  # root mean square of soft and loud: 12 dB apart, 25 dB above the noise floor
FLOOR = 0.002
PAUSE = (0.07, 0.09)  # seconds between repetitions
GAP = (0.16, 0.28)  # seconds between different sounds; three long triple ones still end in time

# One, several, and any number of it (said where the caption keeps the number to itself).
Noun = tuple[str, str, str]
KINDS: tuple[tuple[Noun, ...], ...] = (
    # signals
    (
        ("whistle", "whistles", "whistling"),
        ("flute note", "flute notes", "fluting"),
        ("pure tone", "pure tones", "piping"),
    ),
    (
        ("siren wail", "siren wails", "siren wailing"),
        ("alarm howl", "alarm howls", "alarm howling"),
        ("swoop of a siren", "swoops of a siren", "swooping of a siren"),
    ),
    (
        ("buzz", "buzzes", "buzzing"),
        ("buzzer blast", "buzzer blasts", "buzzer blaring"),
        ("electric rasp", "electric rasps", "electric rasping"),
    ),
    # things struck
    (
        ("chime", "chimes", "chiming"),
        ("ring of a bell", "rings of a bell", "ringing of a bell"),
        ("bell toll", "bell tolls", "bell tolling"),
    ),
    (
        ("drum beat", "drum beats", "drumming"),
        ("thump", "thumps", "thumping"),
        ("boom of a drum", "booms of a drum", "booming of a drum"),
    ),
    (
        ("knock", "knocks", "knocking"),
        ("rap on wood", "raps on wood", "rapping on wood"),
        ("wooden clack", "wooden clacks", "wooden clacking"),
    ),
    # animals
    (("bark", "barks", "barking"), ("woof", "woofs", "woofing"), ("dog yelp", "dog yelps", "dog yelping")),
    (("chirp", "chirps", "chirping"), ("tweet", "tweets", "tweeting"), ("bird call", "bird calls", "bird calling")),
    (
        ("cricket trill", "cricket trills", "cricket trilling"),
        ("insect stutter", "insect stutters", "insect stuttering"),
        ("cicada pulse", "cicada pulses", "cicada pulsing"),
    ),
    # weather
    (
        ("gust of wind", "gusts of wind", "blowing of wind"),
        ("whoosh", "whooshes", "whooshing"),
        ("hiss of air", "hisses of air", "hissing of air"),
    ),
    (
        ("patter of rain", "patters of rain", "pattering of rain"),
        ("splash of drops", "splashes of drops", "splashing of drops"),
        ("rain shower", "rain showers", "raining"),
    ),
    (
        ("rumble of thunder", "rumbles of thunder", "rumbling of thunder"),
        ("thunder roll", "thunder rolls", "thundering"),
        ("growl of a storm", "growls of a storm", "growling of a storm"),
    ),
)
FAMILIES: tuple[tuple[Noun, ...], ...] = (
    (("signal", "signals", "signalling"), ("warning sound", "warning sounds", "sounding of a warning")),
    (("stroke", "strokes", "striking"), ("hit on something", "hits on something", "hitting of something")),
    (("animal sound", "animal sounds", "animal noise"), ("creature's cry", "creature's cries", "crying of a creature")),
    (
        ("sound of weather", "sounds of weather", "weather noise"),
        ("weather sound", "weather sounds", "noise of nature"),
    ),
)
ADJECTIVES = (
    (("soft", "quiet", "faint"), ("loud", "strong", "noisy")),
    (("short", "brief", "quick"), ("long", "lengthy", "drawn-out")),
    (("low", "deep", "low-pitched"), ("high", "shrill", "high-pitched")),
)
NUMBERS = (
    ("one", "a single", "just one"),
    ("two", "a pair of", "a couple of"),
    ("three", "a trio of", "a set of three"),
)
IN_ORDER = {
    2: (
        "{0}, then {1}",
        "first {0}, then {1}",
        "{0} followed by {1}",
        "{1} after {0}",
        "{0} before {1}",
        "before {1}, {0}",
        "{0} at the start, {1} at the end",
    ),
    3: (
        "{0}, then {1}, then {2}",
        "first {0}, then {1} and finally {2}",
        "{0} followed by {1} and then {2}",
        "{1} after {0} and before {2}",
        "before {2}, {0} and then {1}",
        "{2} at the end, {0} at the start, {1} in between",
        "{2} after {1}, which comes after {0}",
    ),
}
IN_ANY_ORDER = {
    2: ("{0} and {1}", "the sounds of {0} and {1}", "{0} as well as {1}", "in some order, {0} and {1}"),
    3: (
        "{0}, {1} and {2}",
        "the sounds of {0}, {1} and {2}",
        "{0} as well as {1} and {2}",
        "in some order, {0}, {1}, {2}",
    ),
}
ORDERS = {count: list(permutations(range(count))) for count in (2, 3)}  # which thing comes first, second, third


def phrase(thing: list[int], dice: Dice) -> str:
    family, kind, loudness, length, pitch, repeats = thing
    noun = dice.pick(KINDS[kind] if kind >= 0 else FAMILIES[family])
    values = zip(ADJECTIVES, (loudness, length, pitch), strict=True)
    said = [dice.pick(words[value]) for words, value in values if value >= 0]
    adjectives = dice.pick((" ", ", ")).join(dice.shuffled(said))
    number = dice.pick(NUMBERS[repeats]) if repeats >= 0 else dice.pick(("", "", "some"))
    return " ".join(part for part in (number, adjectives, noun[2 if repeats < 0 else min(repeats, 1)]) if part)


def describe(meaning: list[int], dice: Dice) -> str:
    count, order = meaning[0], meaning[-1]
    phrases = [phrase(thing, dice) for thing in WORLD.things(meaning)]
    if order >= 0:
        text = dice.pick(IN_ORDER[count]).format(*(phrases[thing] for thing in ORDERS[count][order]))
    else:
        text = dice.pick(IN_ANY_ORDER[count]).format(*dice.shuffled(phrases))
    return text[0].upper() + text[1:] + "." if dice.below(2) else text


TIME = np.arange(LENGTHS[1], dtype=np.float32) / np.float32(RATE)
ANGLE = TIME * np.float32(2 * math.pi)
FADE = np.linspace(0, 1, 80, dtype=np.float32)
TABLE = 1 << 17
PI = np.float32(math.pi)


@lru_cache(maxsize=8)
def noise(low: float, high: float) -> np.ndarray:
    """A long stretch of noise between two frequencies, float32 of unit power: sounds cut their pieces out of it."""
    uniform = (mix(np.arange(2 * TABLE, dtype=np.uint64) + np.uint64(key("noise"))) >> np.uint64(11)) / float(1 << 53)
    white = np.sqrt(-2 * np.log(1 - uniform[:TABLE])) * np.cos(2 * math.pi * uniform[TABLE:])
    spectrum, frequency = np.fft.rfft(white), np.fft.rfftfreq(TABLE, 1 / RATE)
    band = np.fft.irfft(spectrum * ((frequency >= low) & (frequency <= high)), TABLE)
    return (band / band.std()).astype(np.float32)


@lru_cache(maxsize=2)
def drops(frequency: float) -> np.ndarray:
    """Rain: a long stretch of tiny damped rings, about 150 a second."""
    chance = mix(np.arange(TABLE, dtype=np.uint64) + np.uint64(key("drops"))) % np.uint64(10_000)
    ring = np.sin(ANGLE[:400] * np.float32(frequency)) * np.exp(-TIME[:400] * 400)
    return np.convolve((chance < 94) * (0.5 + chance / 94), ring)[:TABLE].astype(np.float32)


def piece(table: np.ndarray, samples: int, dice: Dice) -> np.ndarray:
    start = dice.below(TABLE - samples)
    return table[start : start + samples]


# One sound of each kind, before its level: `x` runs from 0 to 1 over it, `angle` is 2π × time, `f` its pitch in hertz.
def sound(kind: int, pitch: int, samples: int, dice: Dice) -> np.ndarray:
    f = np.float32(PITCHES[kind][pitch] * dice.uniform(0.97, 1.03))
    angle, x = ANGLE[:samples], TIME[:samples] * np.float32(RATE / samples)
    name = SOUNDS[kind]
    if name == "whistle":
        return np.sin(f * angle)
    if name == "siren":  # up and down again
        bend = angle + np.float32(0.8 * 2 * samples / RATE) * (1 - np.cos(PI * x))
        return np.sin(f * bend) + np.float32(0.4) * np.sin(2 * f * bend)
    if name == "buzzer":
        return np.sign(np.sin(f * angle))
    if name == "bell":
        partials = [weight * np.sin(np.float32(ratio) * f * angle) for ratio, weight in PARTIALS]
        return sum(partials) * np.exp(-4 * x)
    if name == "drum":  # its skin slackens: the pitch falls
        return np.sin(f * angle * (1 + np.float32(0.5) * np.exp(-3 * x))) * np.exp(-4 * x)
    if name == "knock":
        return np.sin(f * angle) * piece(noise(0, 250), samples, dice) * np.exp(-6 * x)
    if name == "dog":
        falling = f * TIME[:samples] * (np.float32(1.3) - np.float32(0.3) * x)
        breath = np.float32(0.2) * piece(noise(500, 3000), samples, dice)
        return (2 * (falling % 1) - 1 + breath) * np.sin(PI * x)
    if name == "bird":  # quick upward sweeps
        sweep = (TIME[:samples] / np.float32(0.05)) % 1
        cycles = np.float32(0.05) * f * sweep * (1 + np.float32(0.35) * sweep)
        return np.sin(2 * PI * cycles) * np.sin(PI * sweep)
    if name == "cricket":  # one pitch, chopped
        return np.sin(f * angle) * (np.sin(np.float32(20) * angle) > 0)
    if name == "wind":
        return np.sin(f * angle) * piece(noise(0, 900), samples, dice) * np.sin(PI * x)
    if name == "rain":
        return piece(drops(PITCHES[kind][pitch]), samples, dice)
    return piece(noise(*THUNDER[pitch]), samples, dice) * (1 - np.float32(0.7) * x)


SOUNDS = ("whistle", "siren", "buzzer", "bell", "drum", "knock", "dog", "bird", "cricket", "wind", "rain", "thunder")
PITCHES = (
    (900, 2000),
    (450, 1000),
    (140, 330),
    (500, 1150),
    (70, 170),
    (650, 1700),
    (230, 480),
    (2100, 4000),
    (2900, 5600),
    (2200, 5200),
    (1500, 4500),
    (90, 300),
)
PARTIALS = ((1, 1), (2.42, 0.8), (4.1, 0.6))  # of a bell: not a harmonic series
THUNDER = ((40.0, 140.0), (200.0, 420.0))


def render(facts: list[int], dice: Dice) -> Waveform:
    things, order = WORLD.things(facts), ORDERS[facts[0]][facts[-1]]
    samples = piece(noise(0, RATE / 2), RATE * SECONDS, dice) * np.float32(FLOOR)
    pause = int(dice.uniform(*PAUSE) * RATE)
    gaps = [int(dice.uniform(*GAP) * RATE) for _ in order]
    spans = [(LENGTHS[length] + pause) * (repeats + 1) - pause for _, _, _, length, _, repeats in things]
    at = int(dice.uniform(0.02, 0.6) * (len(samples) - sum(spans) - sum(gaps[1:])))
    for thing, gap in zip(order, gaps, strict=True):
        _, kind, loudness, length, pitch, repeats = things[thing]
        one = sound(kind, pitch, LENGTHS[length], dice)
        level = LEVELS[loudness] * dice.uniform(0.9, 1.1)
        one = one * np.float32(level / math.sqrt(float(np.dot(one, one)) / len(one)))
        one[:80] *= FADE
        one[-80:] *= FADE[::-1]
        for _ in range(repeats + 1):
            samples[at : at + len(one)] += one
            at += len(one) + pause
        at += gap - pause
    return Waveform(np.clip(samples, -1, 1, out=samples), RATE)


# A vague, a plain and a detailed caption; with 1,000 candidates the ceiling is then about 0.83.
DETAIL = (0.2, 0.5, 0.8)
WORLD = World(
    name="soundscapes",
    modality="audio",
    version=1,
    kind=Fact("kind", 12, (0.7, 0.7, 0.7)),
    family=3,
    attributes=(
        Fact("loudness", 2, DETAIL),
        Fact("length", 2, DETAIL),
        Fact("pitch", 2, DETAIL),
        Fact("repeats", 3, DETAIL),
    ),
    relations=(Fact("order", 6, DETAIL),),
    arrangements={count: np.arange(len(orders))[:, None] for count, orders in ORDERS.items()},
    describe=describe,
    render=render,
)


class SoundscapesSettings(GeneratedSettings):
    world = WORLD


class Soundscapes(Generated):
    """Made of `SoundscapesSettings`."""


ENTRY = Entry(
    "harness.data.datasets.soundscapes:Soundscapes",
    SoundscapesSettings,
    about="two or three ordered events in 4 s of sound",
    modalities=("audio",),
    generated=True,
)

"""What the generated datasets share: numbered scenes, disjoint splits, captions with a meaning, and which items fit.

A scene is two or three things of different kinds, each with attributes, and relations among them. All scenes of a
world are numbered, and a seeded permutation of the numbers deals them out to the splits: no scene comes twice, no two
splits share one, and any item is made from its number alone. Called by soundscapes, shapes and motions.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from itertools import combinations
from typing import Any, ClassVar, NamedTuple, overload

import numpy as np
from pydantic import Field, model_validator

from harness.contract.dataset import Contents, Modality, Split
from harness.contract.settings import Conflict, Count, Settings
from harness.data.datasets.chance import GOLDEN, WORD, Dice, key, mix, permute

# Bump it (or the version of one world) whenever the same arguments would give another scene, word, sample or pixel:
# it enters every digest, so that nothing made from the old contents is taken for new.
VERSION = 1
CAPTIONS = 5  # an item
# Blocks of the shuffled scenes, in eighths: they don't depend on the sizes asked for, so a larger split begins with
# the smaller one and no split changes another.
BLOCKS = {"train": (0, 4), "validation": (4, 5), "test": (5, 8)}
FEW_EVERY = 4  # every fourth scene holds the smaller number of things, as long as there are such scenes left
BLOCK = 1024  # captions planned together


class Fact(NamedTuple):
    """One thing that can be said of a scene, and how often a vague, a plain and a detailed caption says it."""

    name: str
    values: int
    chances: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class World:
    """All scenes of one dataset. A row of facts is: count, (family, kind, attributes …) for each thing, relations.

    Things stand in the order of their kinds, which are distinct in a scene: a caption can name them in any order and
    two numbers never mean the same scene. Rows of two things have -1 in the place of the third.
    """

    name: str
    modality: Modality
    version: int
    kind: Fact
    family: int  # so many neighbouring kinds share one vague word
    attributes: tuple[Fact, ...]  # of each thing
    relations: tuple[Fact, ...]  # of the whole scene
    arrangements: dict[int, np.ndarray]  # number of things → int [ways to relate them, relations]
    describe: Callable[[list[int], Dice], str]  # a meaning → a caption; it sees no more than the meaning
    render: Callable[[list[int], Dice], Any]  # facts → the item; the dice move what no caption speaks of

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple(sorted(self.arrangements))

    @cached_property
    def columns(self) -> tuple[Fact, ...]:
        always = (1.0, 1.0, 1.0)
        thing = (Fact("family", self.kind.values // self.family, always), self.kind, *self.attributes)
        slots = [fact._replace(name=f"{fact.name} {slot}") for slot in range(self.counts[-1]) for fact in thing]
        return (Fact("count", self.counts[-1] + 1, always), *slots, *self.relations)

    def kinds(self, count: int) -> np.ndarray:  # int [ways to choose, count]
        return np.array(list(combinations(range(self.kind.values), count)))

    def size(self, count: int) -> int:
        """How many scenes of so many things there are."""
        each = math.prod(fact.values for fact in self.attributes)
        return math.comb(self.kind.values, count) * each**count * len(self.arrangements[count])

    def things(self, row: list[int]) -> list[list[int]]:
        """Of each thing: family, kind, attributes."""
        width = 2 + len(self.attributes)
        return [row[1 + slot * width : 1 + (slot + 1) * width] for slot in range(row[0])]

    def facts(self, count: int, numbers: np.ndarray) -> np.ndarray:  # int8 [n, columns]
        """The scenes with these numbers: a mixed-radix decode."""
        rows = np.full((len(numbers), len(self.columns)), -1, dtype=np.int8)
        rows[:, 0] = count
        rest, way = np.divmod(numbers, len(self.arrangements[count]))
        rows[:, len(self.columns) - len(self.relations) :] = self.arrangements[count][way]
        width = 2 + len(self.attributes)
        for slot in range(count):
            for place, fact in enumerate(self.attributes):
                rest, rows[:, 3 + slot * width + place] = np.divmod(rest, fact.values)
        for slot, kind in enumerate(self.kinds(count)[rest].T):
            rows[:, 1 + slot * width], rows[:, 2 + slot * width] = kind // self.family, kind
        return rows

    def meaning(self, facts: np.ndarray, keys: np.ndarray) -> np.ndarray:  # int8 [n, columns], -1 = not said
        """What captions with these keys say of these scenes."""
        steps = np.arange(1, len(self.columns) + 2, dtype=np.uint64) * np.uint64(GOLDEN)
        coins = (mix(keys[:, None] + steps) >> np.uint64(11)).astype(np.float64) / (1 << 53)  # [n, columns + 1]
        detail = (coins[:, -1] * 3).astype(np.int64)
        chances = np.array([fact.chances for fact in self.columns]).T
        said = coins[:, :-1] < chances[detail]
        width = 2 + len(self.attributes)
        slots = range(1, 1 + width * self.counts[-1], width)
        for slot in slots:
            # two things with the same vague word would be ambiguous: then both are called by their kind
            twins = sum((facts[:, slot] == facts[:, other]).astype(np.int64) for other in slots) > 1
            said[:, slot + 1] |= twins
        return np.where(said, facts, -1).astype(np.int8)


def _pack(columns: Sequence[Fact], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows as one word each, and the bits of that word that say something: uint64 [n], uint64 [n]."""
    values, masks = np.zeros((2, len(rows)), dtype=np.uint64)
    place = 0
    for column, fact in zip(rows.T, columns, strict=True):
        bits = max(1, (fact.values - 1).bit_length())
        said = column >= 0
        values |= np.where(said, column, 0).astype(np.uint64) << np.uint64(place)
        masks |= said.astype(np.uint64) * np.uint64(((1 << bits) - 1) << place)
        place += bits
    assert place <= 64, "a scene no longer fits a word"
    return values, masks


def _count_fitting(scenes: np.ndarray, values: np.ndarray, masks: np.ndarray) -> np.ndarray:  # int64 [captions]
    """How many of the packed scenes agree with each packed meaning. What every caption says sorts them beforehand."""
    common = np.bitwise_and.reduce(masks) if len(masks) else np.uint64(0)
    scenes = scenes[np.argsort(scenes & common)]
    drawers = scenes & common
    counts = np.zeros(len(values), dtype=np.int64)
    order = np.argsort(values & common)
    names, starts = np.unique(values[order] & common, return_index=True)
    for name, members in zip(names, np.split(order, starts[1:]), strict=True):
        drawer = scenes[np.searchsorted(drawers, name) : np.searchsorted(drawers, name, side="right")]
        step = max(1, (1 << 22) // max(1, len(drawer)))  # tens of megabytes at a time
        for some in (members[start : start + step] for start in range(0, len(members), step)):
            differs = (drawer[None, :] ^ values[some, None]) & masks[some, None]
            counts[some] = (differs == 0).sum(1)
    return counts


@dataclass(frozen=True, eq=False)
class Scenes:
    """The scenes of one split, and everything that is made of them: items, captions, and what these mean."""

    world: World
    seed: int
    split: str
    count: int

    @staticmethod
    def block(size: int, split: str) -> tuple[int, int]:
        first, end = BLOCKS[split]
        return size * first // 8, size * end // 8

    @staticmethod
    def room(world: World, split: str) -> int:
        """How many different items the split could hold."""
        blocks = [Scenes.block(world.size(count), split) for count in world.counts]
        return sum(end - start for start, end in blocks)

    @cached_property
    def numbers(self) -> tuple[np.ndarray, np.ndarray]:  # int64 [items] things in it, int64 [items] number of the scene
        items, world = np.arange(self.count), self.world
        many = world.counts[-1]
        sizes = np.full(self.count, many)
        index = items
        if len(world.counts) > 1:
            few = world.counts[0]
            start, end = self.block(world.size(few), self.split)
            spent = np.minimum((items + FEW_EVERY - 1) // FEW_EVERY, end - start)  # such scenes before this item
            sizes[(items % FEW_EVERY == 0) & (spent < end - start)] = few
            index = np.where(sizes == few, spent, items - spent)
        numbers = np.empty(self.count, dtype=np.int64)
        for count in world.counts:
            here, size = sizes == count, world.size(count)
            shuffle = key(world.name, self.seed, count)
            numbers[here] = permute(index[here] + self.block(size, self.split)[0], size, shuffle)
        return sizes, numbers

    @cached_property
    def facts(self) -> np.ndarray:  # int8 [items, columns]
        sizes, numbers = self.numbers
        rows = np.empty((self.count, len(self.world.columns)), dtype=np.int8)
        for count in self.world.counts:
            rows[sizes == count] = self.world.facts(count, numbers[sizes == count])
        return rows

    @cached_property
    def keys(self) -> np.ndarray:  # uint64 [items]: starts each item's own stream of chance
        sizes, numbers = self.numbers
        scene = numbers.astype(np.uint64) * np.uint64(4) + sizes.astype(np.uint64)
        return mix(scene ^ np.uint64(key("items", self.world.name, self.seed)))

    def caption_keys(self, captions: np.ndarray) -> np.ndarray:  # uint64 [n]
        owner, number = np.divmod(np.asarray(captions, dtype=np.int64), CAPTIONS)
        return mix(self.keys[owner] + (number.astype(np.uint64) + np.uint64(1)) * np.uint64(GOLDEN))

    def meaning(self, captions: np.ndarray) -> np.ndarray:
        """What these captions say, int8 [n, columns] in the order of `world.columns`; -1 where they say nothing."""
        captions = np.asarray(captions, dtype=np.int64)
        return self.world.meaning(self.facts[captions // CAPTIONS], self.caption_keys(captions))

    def fits(self, meaning: np.ndarray, items: np.ndarray) -> np.ndarray:  # bool [n, items]
        """Which of these items fit what is said."""
        values, masks = _pack(self.world.columns, meaning)
        scenes, _ = _pack(self.world.columns, self.facts[items])
        return ((scenes[None, :] ^ values[:, None]) & masks[:, None]) == 0

    def fitting(self, items: np.ndarray, captions: int | None = None) -> np.ndarray:  # int64 [captions]
        """How many of these items fit each caption of the split, or each of its first few."""
        scenes, _ = _pack(self.world.columns, self.facts[items])
        total, step = self.count * CAPTIONS if captions is None else captions, 1 << 18
        counts = [np.empty(0, dtype=np.int64)]
        for start in range(0, total, step):
            meaning = self.meaning(np.arange(start, min(start + step, total)))
            counts.append(_count_fitting(scenes, *_pack(self.world.columns, meaning)))
        return np.concatenate(counts)

    def item(self, position: int) -> Any:
        return self.world.render(self.facts[position].tolist(), Dice(int(self.keys[position])))

    def caption(self, position: int) -> str:
        block, place = divmod(position, BLOCK)
        meaning, keys = _plan(self, block)
        return self.world.describe(meaning[place], Dice(keys[place] ^ WORD))


@lru_cache(maxsize=64)
def _plan(scenes: Scenes, block: int) -> tuple[list[list[int]], list[int]]:
    """Meanings and keys of a block of captions: one at a time, numpy would cost more than the words."""
    captions = np.arange(block * BLOCK, min((block + 1) * BLOCK, scenes.count * CAPTIONS))
    return scenes.meaning(captions).tolist(), scenes.caption_keys(captions).tolist()


def ceiling(fitting: np.ndarray) -> float:
    """hit@1 of perfect understanding: a uniform choice among the candidates that fit."""
    return float(np.mean(1.0 / fitting))


@dataclass(frozen=True)
class Names(Sequence[str]):
    """`prefix-000000`, `prefix-000001` …, made when asked for."""

    prefix: str
    size: int

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [f"{self.prefix}-{number:06d}" for number in range(*index.indices(self.size))]
        return f"{self.prefix}-{range(self.size)[index]:06d}"

    def __iter__(self) -> Iterator[str]:
        return (f"{self.prefix}-{number:06d}" for number in range(self.size))


class GeneratedSettings(Settings):
    world: ClassVar[World]
    train: Count = Field(8000, description="items to learn from")
    validation: Count = Field(500, description="items to choose with")
    test: Count = Field(1000, description="items to be asked for")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="of another one, other items")

    @model_validator(mode="after")
    def _room(self) -> GeneratedSettings:
        for split in BLOCKS:
            count, room = getattr(self, split), Scenes.room(self.world, split)
            if count > room:
                raise Conflict(
                    split,
                    f"{split} is {count}; expected at most {room:,}, for {self.world.name} can make no more different "
                    "items for this split; write a smaller number",
                )
        return self

    def crowd(self, split: str, size: int) -> str | None:
        least, most = getattr(self, split), Scenes.room(self.world, split)
        if least <= size <= most:
            return None
        return f"can make {least:,} to {most:,} candidates for {split}; expected as many; write such a number"


class Generated:
    """A dataset of one world. Splits of one seed share no scene; splits of two seeds can."""

    generated = True

    def __init__(self, settings: GeneratedSettings) -> None:
        self.world, self.seed = settings.world, settings.seed
        self.name, self.modality = self.world.name, self.world.modality
        self.sizes = settings.model_dump(include=set(BLOCKS))
        # The sizes are left out of the contents' source: an item is the same in a split of any size, and what was
        # learned from one training split stays valid when the test gallery grows.
        recipe = f"{self.world.name}\0{VERSION}.{self.world.version}\0seed={self.seed}"
        self.recipe = hashlib.sha256(recipe.encode()).hexdigest()
        self.digest = hashlib.sha256(f"{recipe}\0{self.sizes}".encode()).hexdigest()

    def scenes(self, name: str) -> Scenes:
        """What the split is made of: its facts, and what its captions mean."""
        if name not in self.sizes:
            raise ValueError(f"split {name!r}: {self.name} has {', '.join(self.sizes)}")
        return Scenes(self.world, self.seed, name, self.sizes[name])

    def split(self, name: str) -> Split:
        return self._split(self.scenes(name))

    def crowd(self, name: str, count: int) -> Split:
        """The split among more items of its kind, `count` in all, that no caption is about."""
        return self._split(self.scenes(name), count)

    def _split(self, asked: Scenes, count: int | None = None) -> Split:
        scenes = replace(asked, count=max(count or 0, asked.count))
        source = f"{self.name}:{self.recipe}:{asked.split}"
        captions = np.arange(asked.count * CAPTIONS)
        return Split(
            name=asked.split,
            items=Contents(self.modality, scenes.item, np.arange(scenes.count), f"{source}:items"),
            item_names=Names(f"{self.name}-{asked.split}", scenes.count),
            captions=Contents("text", scenes.caption, captions, f"{source}:captions"),
            owner=captions // CAPTIONS,
            fitting=partial(scenes.fitting, captions=len(captions)),
        )

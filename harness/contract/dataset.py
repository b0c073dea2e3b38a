"""Contents, linked pairs, splits and datasets, shared by the referee and the contestants.

Everything is loaded lazily: a `Contents` of a million clips costs its positions, no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol, overload

import numpy as np

Modality = Literal["text", "image", "audio", "video"]


class Waveform(NamedTuple):
    """Mono sound."""

    samples: np.ndarray  # float32 [n], within -1..1
    rate: int  # samples a second


def unchangeable(thing: Any) -> Any:
    """A read-only view, for what several contestants share."""
    if isinstance(thing, Waveform):
        return Waveform(unchangeable(thing.samples), thing.rate)
    if not isinstance(thing, np.ndarray) or not thing.flags.writeable:
        return thing
    view = thing.view()
    view.setflags(write=False)
    return view


class Order(NamedTuple):
    """The rows of contents in a file of vectors, which has one for everything annotated, present or not."""

    rows: np.ndarray  # int64 by source position
    size: int  # rows of the whole file


WHOLE = "whole"  # the order of all splits of a dataset together, where it has one


@dataclass(frozen=True)
class Contents(Sequence[Any]):
    """A sequence of things of one modality, each fetched when it is asked for.

    What comes out: `str` (text), uint8 [H, W, 3] (image), `Waveform` (audio), uint8 [T, H, W, 3] (video).
    """

    modality: Modality
    fetch: Callable[[int], Any]  # source position → the thing itself
    positions: np.ndarray  # int64 [n]: which of the source's things, in which order
    source: str  # names the source and all that shaped it: its provenance, and part of every digest
    # source position → what the dataset calls it; None: it has no names. `source` settles them too, so that they are no
    # part of the digest.
    name: Callable[[int], str] | None = field(default=None, compare=False)
    # source positions → the things, one after the other; None: `fetch` for each. Files are decoded ahead this way.
    stream: Callable[[np.ndarray], Iterator[Any]] | None = field(default=None, compare=False)
    # The orders in which files made elsewhere may hold them, by split, or `WHOLE`. `source` settles them too.
    orders: Mapping[str, Order] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "positions", unchangeable(self.positions))

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, key: int) -> Any: ...
    @overload
    def __getitem__(self, key: slice | np.ndarray) -> Contents: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice | np.ndarray):
            return replace(self, positions=self.positions[key])
        return self.fetch(int(self.positions[key]))

    def __iter__(self) -> Iterator[Any]:
        if self.stream is not None:
            return self.stream(self.positions)
        fetch = self.fetch
        return (fetch(position) for position in self.positions.tolist())

    @property
    def names(self) -> list[str] | None:
        """What the dataset calls these things, where it has names for them."""
        return None if self.name is None else [self.name(position) for position in self.positions.tolist()]

    @cached_property
    def digest(self) -> str:
        """Names these things in this order; equal digests mean equal contents."""
        hasher = hashlib.sha256(f"{self.modality}\0{self.source}\0".encode())
        hasher.update(np.ascontiguousarray(self.positions, dtype="<i8").tobytes())
        return hasher.hexdigest()


def texts(strings: Sequence[str], source: str | None = None) -> Contents:
    """Contents of text. Without a `source` the strings themselves are the digest's source."""
    strings = tuple(strings)
    if source is None:
        hasher = hashlib.sha256()
        for string in strings:
            encoded = string.encode()
            hasher.update(len(encoded).to_bytes(8, "little") + encoded)
        source = f"strings:{hasher.hexdigest()}"
    return Contents("text", strings.__getitem__, np.arange(len(strings)), source)


@dataclass(frozen=True)
class Links:
    """Which candidates are right for each query, as flat arrays: `targets[starts[q]:starts[q + 1]]`."""

    starts: np.ndarray  # int64 [Q + 1]
    targets: np.ndarray  # int64 [links]: positions among the candidates

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", unchangeable(self.starts))
        object.__setattr__(self, "targets", unchangeable(self.targets))

    @staticmethod
    def listed(positives: Sequence[Sequence[int]]) -> Links:
        """From a list of right candidates for each query, as a task's page has it."""
        starts = np.concatenate([[0], np.cumsum([len(targets) for targets in positives])]).astype(np.int64)
        return Links(starts, np.array([target for targets in positives for target in targets], np.int64))

    @staticmethod
    def paired(queries: np.ndarray, targets: np.ndarray, count: int) -> Links:
        """Link i joins `queries[i]` and `targets[i]`; there are `count` queries."""
        queries = np.asarray(queries, dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(np.bincount(queries, minlength=count))])
        order = np.argsort(queries, kind="stable")
        return Links(starts.astype(np.int64), np.asarray(targets, dtype=np.int64)[order])

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, query: int) -> np.ndarray:
        return self.targets[self.starts[query] : self.starts[query + 1]]

    @property
    def counts(self) -> np.ndarray:  # int64 [Q]
        return np.diff(self.starts)

    @property
    def queries(self) -> np.ndarray:
        """int64 [links]: the query that each target belongs to."""
        return np.repeat(np.arange(len(self)), self.counts)

    def take(self, queries: np.ndarray) -> Links:
        """The links of some of the queries, renumbered 0, 1, …"""
        counts = self.counts[queries]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        offsets = np.repeat(self.starts[queries] - starts[:-1], counts)
        return Links(starts, self.targets[np.arange(starts[-1]) + offsets])


@dataclass(frozen=True)
class Pairs:
    """Queries, candidates and their links: what a retriever may learn from."""

    queries: Contents
    candidates: Contents
    links: Links

    @staticmethod
    def empty(query_modality: Modality, candidate_modality: Modality) -> Pairs:
        def nothing(modality: Modality) -> Contents:
            return Contents(modality, lambda position: None, np.empty(0, np.int64), "nothing")

        none = np.empty(0, np.int64)
        return Pairs(nothing(query_modality), nothing(candidate_modality), Links(np.zeros(1, np.int64), none))

    @cached_property
    def digest(self) -> str:
        hasher = hashlib.sha256(f"{self.queries.digest}{self.candidates.digest}".encode())
        hasher.update(np.ascontiguousarray(self.links.starts, dtype="<i8").tobytes())
        hasher.update(np.ascontiguousarray(self.links.targets, dtype="<i8").tobytes())
        return hasher.hexdigest()


@dataclass(frozen=True)
class Split:
    """Media items and their captions."""

    name: str
    items: Contents
    item_names: Sequence[str]
    captions: Contents
    owner: np.ndarray  # int64 [captions]: the item that each caption describes
    # The captions are labels, one for each item that bears it. Train is learned so; test and validation ask each once.
    labels: bool = False
    prints: Sequence[str] | None = None  # of each item's bytes, where items are files: the same item under two names
    # Embedded datasets know what their captions mean: how many of these items (positions) fit each caption, int64
    # [captions]. It gives the ceiling: nothing can do better than choose among those that fit.
    fitting: Callable[[np.ndarray], np.ndarray] | None = None
    dropped: Sequence[str] = field(default=())  # names of items that should be here and are not
    expected: int | None = None  # items that the literature has in it
    layout: str = ""  # what it was read from, for people

    def __post_init__(self) -> None:
        """Where the dataset says nothing of orders, nothing was left out: rows stand as the contents do."""
        for side in ("items", "captions"):
            contents: Contents = getattr(self, side)
            if not contents.orders:
                rows = np.zeros(contents.positions.max(initial=-1) + 1, np.int64)
                rows[contents.positions] = np.arange(len(contents))
                object.__setattr__(self, side, replace(contents, orders={self.name: Order(rows, len(contents))}))

    @cached_property
    def named(self) -> Contents:
        """The items, each knowing its name."""
        positions, name = self.items.positions, self.item_names.__getitem__
        if not np.array_equal(positions, np.arange(len(positions))):
            name = dict(zip(positions.tolist(), self.item_names, strict=True)).__getitem__
        return replace(self.items, name=name)

    def pairs(self, direction: str) -> Pairs:
        """This split in a direction such as `text-audio` (captions are the queries) or `audio-text`, to learn from."""
        return self._linked(direction, self.captions, np.arange(len(self.captions)), self.owner)

    def questions(self, direction: str) -> Pairs:
        """The same, to be asked: equal labels are one, linked to all the items that bear it."""
        if not self.labels:
            return self.pairs(direction)
        words = list(self.captions)
        first = {word: place for place, word in reversed(list(enumerate(words)))}
        number = {word: label for label, word in enumerate(sorted(first, key=first.__getitem__))}
        borne = np.array([[number[word] for word in words], self.owner], np.int64)
        label, item = np.unique(borne, axis=1)  # each pair once
        return self._linked(direction, self.captions[np.array(sorted(first.values()), np.int64)], label, item)

    def _linked(self, direction: str, captions: Contents, caption: np.ndarray, item: np.ndarray) -> Pairs:
        if direction == f"text-{self.items.modality}":
            return Pairs(captions, self.named, Links.paired(caption, item, len(captions)))
        if direction == f"{self.items.modality}-text":
            return Pairs(self.named, captions, Links.paired(item, caption, len(self.items)))
        raise ValueError(
            f"direction {direction!r}: this dataset holds text and {self.items.modality}, so it can be asked "
            f"text-{self.items.modality} or {self.items.modality}-text"
        )


class Unavailable(Exception):
    """Something isn't here (data, a package, a checkpoint); the message says how to get it."""


class Dataset(Protocol):
    """One file in `harness/data/datasets/` each. Building one is cheap; `split` may read annotation files.

    One whose protocol asks a split in folds (`Entry.folds`) is asked for `test/2of5` besides `test`.
    """

    name: str
    modality: Modality
    generated: bool  # made by a program, not recorded in the world: every table says so

    @property
    def digest(self) -> str:
        """Of everything that shapes its contents."""

    def split(self, name: Literal["train", "validation", "test"]) -> Split: ...

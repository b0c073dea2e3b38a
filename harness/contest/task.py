"""A task: a dataset's split, asked in one direction, its gallery shuffled before any contestant sees it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.contract.dataset import Contents, Dataset, Links, Split
from harness.contract.problems import BadInput
from harness.machine import files


class EmptySplit(ValueError):
    """A split that is asked has no items or no captions."""


@dataclass(frozen=True)
class Task:
    name: str
    dataset: str
    modality: str  # of the media
    generated: bool
    queries: Contents
    gallery: Contents
    links: Links
    cluster: np.ndarray  # int64 [Q]: the item that each query belongs to; queries of one item are not independent
    query_names: Sequence[str]
    candidate_names: Sequence[str]
    dropped: Sequence[str]
    ceiling: float | None  # hit@1 of a uniform choice among the candidates that fit
    leaks: Mapping[str, int] = field(default_factory=dict)  # what `audit.leaks` found in its split
    added: int = 0  # so many candidates, the gallery's last, come when the others are indexed already
    media: int = 0  # items of the split that are there
    expected: int | None = None  # items that the literature has in it
    layout: str = ""  # what the split was read from

    @property
    def indexed(self) -> Contents:
        return self.gallery[: self.items - self.added]

    @property
    def later(self) -> Contents:
        return self.gallery[self.items - self.added :]

    @property
    def items(self) -> int:
        return len(self.gallery)

    @cached_property
    def digest(self) -> str:
        """Of the ids of queries and candidates, in order, of those that are texts, and of their links."""
        hasher = hashlib.sha256()
        asked = [list(contents) for contents in (self.queries, self.gallery) if contents.modality == "text"]
        for text in (*self.query_names, *self.candidate_names, *(text for each in asked for text in each)):
            hasher.update(text.encode("utf-8", "surrogatepass") + b"\0")
        hasher.update(self.links.starts.astype("<i8").tobytes() + self.links.targets.astype("<i8").tobytes())
        return hasher.hexdigest()

    def page(self) -> dict[str, Any]:
        """All that report and gate need, as plain values."""
        texts = list(self.queries) if self.queries.modality == "text" else None
        return {
            "task": self.name,
            "dataset": self.dataset,
            "modality": self.modality,
            "generated": self.generated,
            "digest": self.digest,
            "ceiling": self.ceiling,
            "added": self.added,
            "dropped": list(self.dropped),
            "queries": {"names": list(self.query_names), "texts": texts},
            "candidates": {
                "names": list(self.candidate_names),
                "texts": list(self.gallery) if self.gallery.modality == "text" else None,
            },
            "positives": [self.links.of(query).tolist() for query in range(len(self.links))],
            "cluster": self.cluster.tolist(),
        }


def open_task(
    name: str, dataset: Dataset, split_name: Any, direction: str, hold_out: float = 0.0, gallery: int | None = None
) -> Task:
    """Ask a split of a dataset in one direction. The shuffle is seeded by the task's name: the same in every run.

    `hold_out`: the share of the gallery that is added later; at least one candidate if any, and never all.
    `gallery`: so many candidates, the split's own among them; a larger gallery holds all of a smaller one.
    """
    split = _among(dataset, split_name, gallery) if gallery else dataset.split(split_name)
    pairs = split.questions(direction)
    count = len(pairs.candidates)
    if not count or not len(pairs.queries):
        raise EmptySplit(
            f"{name}: {len(split.items):,} items and {len(split.captions):,} captions in the split {split_name} of "
            f"{dataset.name}, so nothing can be asked; expected some of both; put items into it, or ask another split"
        )
    order = np.random.default_rng(int(files.digest(name)[:16], 16)).permutation(count)
    place = np.empty(count, np.int64)  # where each candidate stands after the shuffle
    place[order] = np.arange(count)
    to_media = pairs.candidates.modality != "text"
    if split.labels:
        captions = list(pairs.queries if to_media else pairs.candidates)
    else:
        captions = [f"{split.item_names[item]}#{number}" for item, number in zip(*_numbered(split.owner), strict=True)]
    candidate_names = split.item_names if to_media else captions
    fitting = split.fitting(np.arange(count)) if to_media and split.fitting is not None and count else None
    return Task(
        name=name,
        dataset=dataset.name,
        modality=split.items.modality,
        generated=dataset.generated,
        queries=pairs.queries,
        gallery=pairs.candidates[order],
        links=Links(pairs.links.starts, place[pairs.links.targets]),
        cluster=split.owner if to_media and not split.labels else np.arange(len(pairs.queries)),
        query_names=captions if to_media else split.item_names,
        candidate_names=[candidate_names[position] for position in order.tolist()],
        dropped=split.dropped,
        ceiling=float(np.mean(1.0 / fitting)) if fitting is not None and len(fitting) else None,
        added=max(0, min(count - 1, max(1, round(hold_out * count)))) if hold_out else 0,
        media=len(split.items),
        expected=split.expected,
        layout=split.layout,
    )


def _among(dataset: Dataset, split: Any, gallery: int) -> Split:
    make = getattr(dataset, "crowd", None)
    if make is None:
        raise BadInput(
            f"{dataset.name} has no `crowd(split, count)`, which makes more candidates than a split has; expected it "
            "where a task says `gallery`; write the method, or remove `gallery`"
        )
    found: Split = make(split, gallery)
    if len(found.items) != gallery:
        raise BadInput(
            f"{dataset.name}.crowd({split!r}, {gallery}) made {len(found.items):,} items; expected {gallery:,}"
        )
    return found


def _numbered(owner: np.ndarray) -> tuple[list[int], list[int]]:
    """The owner of each caption, and how many of its captions came before."""
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner) if len(owner) else np.empty(0, np.int64)
    number = np.empty(len(owner), np.int64)
    number[order] = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return owner.tolist(), number.tolist()


def write_page(path: Path, task: Task) -> None:
    files.write(path, files.pack_json(task.page()))

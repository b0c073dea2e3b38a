"""A dataset without its broken files: they leave gallery and queries alike, named and counted, before a task is fixed.

The builder puts it around every dataset; one without files passes as it is.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.contract.dataset import Contents, Dataset, Modality, Split
from harness.contract.problems import shown
from harness.data.media import Files
from harness.data.media.errors import CAUSES, TooManyBroken
from harness.data.media.job import Verdict
from harness.data.media.scan import scan
from harness.machine.progress import say

ALLOWED = 0.01  # the share of a split's files that may be broken, where the dataset declares no other
SHOWN = 5  # names in a message
MOST_SAID = 50  # files of a split, each on a line of its own


class Screened:
    def __init__(self, dataset: Dataset, cache: Path | None) -> None:
        self.dataset, self.cache = dataset, cache
        self.name: str = dataset.name
        self.modality: Modality = dataset.modality
        self.generated = dataset.generated
        self.allowed = float(getattr(dataset, "broken", ALLOWED))
        self._splits: dict[str, Split] = {}
        self._named: set[Path] = set()  # files left out of which that has been said

    @property
    def digest(self) -> str:
        return self.dataset.digest

    def __getattr__(self, name: str) -> Any:
        """Whatever else the dataset has to say of itself."""
        return getattr(self.__dict__["dataset"], name)

    def split(self, name: Any) -> Split:
        if name not in self._splits:
            self._splits[name] = self._screen(self.dataset.split(name))
        return self._splits[name]

    def _screen(self, split: Split) -> Split:
        files = split.items.fetch
        if not isinstance(files, Files) or not len(split.items):
            return split
        verdicts = verdicts_of(split, self.cache)
        gone = np.array([verdict.why is not None for verdict in verdicts])
        named: dict[str, list[str]] = {cause: [] for cause in CAUSES}
        for place in np.flatnonzero(gone).tolist():
            path, verdict = Path(files.paths[int(split.items.positions[place])]), verdicts[place]
            named[verdict.cause].append(shown(path) if verdict.cause == "missing" else f"{shown(path)}: {verdict.why}")
            if path not in self._named and len(named[verdict.cause]) <= MOST_SAID:
                say(f"    {verdict.cause}: {named[verdict.cause][-1]}")
            self._named.add(path)
        sentences = [_sentence(named[cause], words, len(gone)) for cause, words in CAUSES.items() if named[cause]]
        if gone.mean() > self.allowed:
            raise TooManyBroken(
                f"{self.name}/{split.name}: {'. '.join(sentences)}. At most {100 * self.allowed:g} % may be left out "
                "(`broken` of the dataset): mend them, put them where they should be or remove them, or allow for more"
            )
        for cause, each in named.items():
            if len(each) > MOST_SAID:
                say(f"    {cause}: {len(each):,} files in all")
        return sound(split, verdicts)


def _sentence(named: list[str], words: str, count: int) -> str:
    more = f" and {len(named) - SHOWN:,} more" if len(named) > SHOWN else ""
    share = 100 * len(named) / count
    return f"{len(named):,} of {count:,} files {words} ({share:.1f} %): {'; '.join(named[:SHOWN])}{more}"


def verdicts_of(split: Split, cache: Path | None) -> list[Verdict]:
    """On each item of a split whose items are files."""
    files = split.items.fetch
    assert isinstance(files, Files)
    jobs = [files.job(position) for position in split.items.positions.tolist()]
    return scan(jobs, cache, f"checking {split.name} {files.modality} files")


def sound(split: Split, verdicts: list[Verdict]) -> Split:
    """The split's files that can be decoded, known by their bytes."""
    gone = np.array([verdict.why is not None for verdict in verdicts])
    whole = _with_bytes(split, [verdict for verdict in verdicts if verdict.why is None])
    return without(whole, gone) if gone.any() else whole


def _with_bytes(split: Split, verdicts: list[Verdict]) -> Split:
    """What the files hold becomes part of the source: other bytes under the same names are other contents."""
    hasher = hashlib.sha256("".join(verdict.digest for verdict in verdicts).encode())
    items: Contents = replace(split.items, source=f"bytes {hasher.hexdigest()[:32]}:{split.items.source}")
    prints = tuple(verdict.digest for verdict in verdicts)
    return replace(split, items=items, prints=prints)


def without(split: Split, gone: np.ndarray) -> Split:
    """The split without some of its items (bool [items]) and without their captions."""
    kept, place = np.flatnonzero(~gone), np.cumsum(~gone) - 1
    captions = np.flatnonzero(~gone[split.owner])
    names = list(split.item_names)
    return replace(
        split,
        items=split.items[kept],
        item_names=[names[item] for item in kept.tolist()],
        captions=split.captions[captions],
        owner=place[split.owner[captions]],
        dropped=[*split.dropped, *(names[item] for item in np.flatnonzero(gone).tolist())],
    )

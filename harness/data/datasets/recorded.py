"""What the recorded datasets share: from annotated items and the files on the disk to a `Split`, and what is missing.

A loader says what its annotations hold and what its files may be called; here the files are looked for, the absent
ones are named and dropped from gallery and queries alike, and what was found is said.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from harness.contract.dataset import Modality, Order, Split, Unavailable, texts
from harness.contract.folds import Fold, fold_of
from harness.contract.problems import BadInput, some
from harness.contract.settings import Settings
from harness.data import media
from harness.machine import files
from harness.machine.progress import say

SPLITS = ("train", "validation", "test")
SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "image": (".jpg", ".jpeg", ".png", ".webp"),
    "audio": (".wav", ".flac", ".ogg", ".mp3"),
    "video": (".mp4", ".avi", ".webm", ".mkv"),
}
Counts = tuple[int, int]  # items, captions


class Clip(NamedTuple):
    """One item as annotated."""

    name: str
    files: tuple[str, ...]  # what its file may be called, the likeliest first
    captions: tuple[str, ...]


class Annotations(NamedTuple):
    """One split, from its annotation files."""

    layout: str  # which of the usual layouts was found, for people
    clips: Sequence[Clip]


class Present(NamedTuple):
    """The items of a split that can be used, and the names of those that can't."""

    clips: list[Clip]
    paths: list[Path]
    dropped: list[str]
    mute: int  # captions without a word in them, left out
    rows: list[int]  # of each item: its number among all that were asked for
    caption_rows: list[int]  # of each caption: its number among all of theirs


class RecordedSettings(Settings):
    broken: float = Field(
        0.01, ge=0, le=1, description="the share of files that may be undecodable; with more it fails"
    )


class Recorded:
    """Subclasses set the class variables and write `annotations`. A split is `test`, a fold of it `test/2of5`."""

    name: ClassVar[str]
    modality: ClassVar[Modality]
    generated = False
    # Below the root, in the order in which they are looked into; {part} is what `parts` calls the split.
    folders: ClassVar[tuple[str, ...]]
    parts: ClassVar[Mapping[str, str]] = {split: split for split in SPLITS}  # what each split is called on the disk
    whole_names = True  # Clip.files have their suffix; else any suffix of the medium will do
    counts: ClassVar[Mapping[str, Mapping[str, Counts]]]  # of the literature: version → split → counts

    def __init__(self, settings: RecordedSettings, root: Path, version: str = "") -> None:
        """`version`: which of several sets of annotations, where there are."""
        self.root = Path(root)
        self.version, self.broken = version, settings.broken
        self._annotations: dict[str, Annotations] = {}
        self._splits: dict[str, Split] = {}

    def annotations(self, split: str) -> Annotations:
        """Reads the annotation files, or raises `Unavailable` saying which is missing and where to get it."""
        raise NotImplementedError

    def annotated(self, split: str) -> Annotations:
        """`annotations`, read once."""
        if split not in SPLITS:
            raise ValueError(f"split {split!r}: {self.name} has {', '.join(SPLITS)}")
        if split not in self._annotations:
            self._annotations[split] = self.annotations(split)
        return self._annotations[split]

    @property
    def expected(self) -> Mapping[str, Counts]:
        """How many items and captions of each split the literature counts, where it names a number."""
        return self.counts.get(self.version, {})

    @property
    def layout(self) -> str:
        """Which layout each split has that is there."""
        return "; ".join(dict.fromkeys(each.layout for _, each in self._there()))

    @cached_property
    def digest(self) -> str:
        """Of what is annotated, in the splits that are there."""
        annotated = {split: [[clip.name, *clip.captions] for clip in each.clips] for split, each in self._there()}
        return files.digest([self.name, self.version, annotated])

    def _there(self) -> Iterator[tuple[str, Annotations]]:
        for split in SPLITS:
            try:
                yield split, self.annotated(split)
            except Unavailable:
                continue

    def split(self, name: str) -> Split:
        """Folds are contiguous parts of what is annotated, so that a missing file moves no item to another fold."""
        if name not in self._splits:
            fold = fold_of(name) or Fold(name, 1, 1)
            annotated, counts = self.annotated(fold.whole), self.expected.get(fold.whole)
            start, end = (len(annotated.clips) * each // fold.of for each in (fold.number - 1, fold.number))
            self._splits[name] = self._made(name, annotated, slice(start, end), counts and counts[0] // fold.of)
        return self._splits[name]

    def present(self, split: str, clips: Sequence[Clip] | None = None) -> Present:
        """Which of a split's items (or of some of them) lie on the disk."""
        known = self._listing(split)
        endings = ("",) if self.whole_names else SUFFIXES[self.modality]
        found = Present([], [], [], 0, [], [])
        mute = passed = 0
        for number, clip in enumerate(self.annotated(split).clips if clips is None else clips):
            path = next((known[name + end] for name in clip.files for end in endings if name + end in known), None)
            rows = [passed + row for row, caption in enumerate(clip.captions) if caption.strip()]
            captions = tuple(clip.captions[row - passed].strip() for row in rows)
            passed += len(clip.captions)
            mute += len(clip.captions) - len(captions)
            if path is None or not captions:
                found.dropped.append(clip.name)
            else:
                found.clips.append(clip._replace(captions=captions))
                found.paths.append(path)
                found.rows.append(number)
                found.caption_rows.extend(rows)
        return found._replace(mute=mute)

    def remarks(self) -> list[str]:
        """What else there is to say of the annotation files: for `data check`."""
        return []

    def surplus(self) -> list[str]:
        """Media files in the folders looked into that belong to no split."""
        known: set[Path] = set()
        used: set[Path] = set()
        for split in SPLITS:
            known.update(self._listing(split).values())
            try:
                used.update(self.present(split).paths)
            except Unavailable:
                continue
        inside = {path for path in known if path.suffix.lower() in SUFFIXES[self.modality]}
        return sorted(path.relative_to(self.root).as_posix() for path in inside - used)

    def _places(self, split: str) -> list[str]:
        return list(dict.fromkeys(folder.format(part=self.parts[split]) for folder in self.folders))

    def _listing(self, split: str) -> dict[str, Path]:
        """The files that may be media of this split, by name; where two folders have one, the first folder's."""
        known: dict[str, Path] = {}
        for folder in reversed(self._places(split)):
            try:
                with os.scandir(self.root / folder) as entries:
                    known.update({entry.name: self.root / folder / entry.name for entry in entries if entry.is_file()})
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise Unavailable(
                    f"{self.name}: {self.root / folder} can't be read ({error.strerror}); make it readable"
                ) from error
        return known

    def _made(self, name: str, annotated: Annotations, part: slice, expected: int | None) -> Split:
        split, layout, clips = name.partition("/")[0], annotated.layout, annotated.clips[part]
        _check(clips, layout)
        found = self.present(split, clips)
        if not clips:
            raise Unavailable(f"{self.name}: {layout} has no item of {name}; get the file again")
        if not found.clips:
            example = clips[0].files[0] + ("" if self.whole_names else SUFFIXES[self.modality][0])
            raise Unavailable(
                f"{self.name}: none of the {len(clips):,} {self.modality} files of {name} ({layout}) is there: looked "
                f"for files such as {example!r} in {', '.join(self._places(split))} below {self.root}; put them there"
            )
        names = [clip.name for clip in found.clips]
        sizes = [[name, path.stat().st_size] for name, path in zip(names, found.paths, strict=True)]
        source = f"{self.name} {self.version}:{files.digest(sizes)}:{name}:items"
        say(f"    {self.name} {name}: {_summary(layout, found, expected)}")
        captions = [len(clip.captions) for clip in annotated.clips]
        items_order = Order(part.start + np.array(found.rows), len(annotated.clips))
        captions_order = Order(sum(captions[: part.start]) + np.array(found.caption_rows), sum(captions))
        spoken = texts([caption for clip in found.clips for caption in clip.captions])
        return Split(
            name=name,
            items=replace(media.files(self.modality, found.paths, source), orders={split: items_order}),
            item_names=names,
            captions=replace(spoken, orders={split: captions_order}),
            owner=np.repeat(np.arange(len(found.clips)), [len(clip.captions) for clip in found.clips]).astype(np.int64),
            dropped=tuple(found.dropped),
            expected=expected,
            layout=layout,
        )


def id_digest(names: Sequence[str]) -> str:
    """Of a list of item names, in any order: shows which of several published subsets it is."""
    return hashlib.sha256("\n".join(sorted(names)).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def carve(clips: Sequence[Clip], count: int, seed: int = 0) -> tuple[list[Clip], list[Clip]]:
    """What stays and `count` taken out, by name: whatever else is in the list, and in whatever order."""

    def lot(clip: Clip) -> str:
        return files.digest([seed, clip.name])

    taken = {clip.name for clip in sorted(clips, key=lot)[:count]}
    return [clip for clip in clips if clip.name not in taken], [clip for clip in clips if clip.name in taken]


def _summary(layout: str, found: Present, expected: int | None) -> str:
    items, captions = len(found.clips), sum(len(clip.captions) for clip in found.clips)
    words = [f"{items:,} items, {captions:,} captions"]
    if expected is not None and items != expected:
        words.append(f"the literature has {expected:,} items")
    if found.dropped:
        words.append(f"{len(found.dropped):,} dropped ({some(found.dropped)}: no file, or no caption)")
    if found.mute:
        words.append(f"{found.mute:,} empty captions left out")
    return f"{layout}: {', '.join(words)}; ids {id_digest([clip.name for clip in found.clips])}"


def _check(clips: Sequence[Clip], layout: str) -> None:
    seen: set[str] = set()
    twice = [clip.name for clip in clips if clip.name in seen or seen.add(clip.name)]  # type: ignore[func-returns-value]
    if twice:
        raise BadInput(f"{layout}: expected each item once; {some(twice)} came again: remove what is doubled")

"""What lies on the disk of a dataset, counted against what should: for `python -m harness data check`."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from harness.contract.dataset import Dataset, Split, Unavailable, texts
from harness.contract.problems import shown, some
from harness.data.audit import leaks
from harness.data.datasets.recorded import id_digest
from harness.data.media import Files
from harness.data.media.job import Verdict
from harness.data.media.screened import sound, verdicts_of
from harness.machine.files import is_folder

SHOWN = 10
SPLITS = ("train", "validation", "test")


class Finding(NamedTuple):
    text: str
    wrong: bool = False  # something is not as it should be


def expectations(target: str, dataset: Dataset) -> Mapping[str, tuple[int, int]]:
    """Items and captions of each split, where the loader knows how many there should be."""
    own = getattr(dataset, "expected", None)
    if own is None:
        own = getattr(importlib.import_module(target.partition(":")[0]), "EXPECTED", None)
    return own if isinstance(own, Mapping) else {}


def findings(dataset: Dataset, target: str, decode: bool, cache: Path) -> Iterator[Finding]:
    layout = getattr(dataset, "layout", None)
    if layout:
        yield Finding(f"layout: {layout}")
    expected = expectations(target, dataset)
    splits: dict[str, Split] = {}
    for name in SPLITS:
        try:
            split = dataset.split(name)  # type: ignore[arg-type]
        except Unavailable as reason:
            yield Finding(f"{name}: {reason}", wrong=True)
            continue
        splits[name] = replace(split, captions=texts(list(split.captions)))  # they are gone through several times
    for name, split in splits.items():
        yield _counts(split, expected.get(name))
        if name == "test" and not (len(split.items) and len(split.captions)):
            yield Finding("  nothing can be asked of it: expected items and captions", wrong=True)
        yield Finding(f"  ids {id_digest(split.item_names)}")
        if split.dropped:
            yield Finding(f"  {len(split.dropped):,} missing: {some(split.dropped, SHOWN)}", wrong=True)
        absent = _absent(split)
        if absent:
            yield Finding(f"  {len(absent):,} files are not there: {some(absent, SHOWN)}", wrong=True)
        yield from _duplicates(split)
        if decode and isinstance(split.items.fetch, Files):
            verdicts = verdicts_of(split, cache)
            yield from _undecodable(split, split.items.fetch, verdicts)
            splits[name] = sound(split, verdicts)  # as a run has it: what is shared shows by its bytes
    yield from _shared(splits)
    if not decode and any(isinstance(split.items.fetch, Files) for split in splits.values()):
        yield Finding("files were not read: `--decode` finds those that are damaged, or in two splits under two names")
    for remark in getattr(dataset, "remarks", list)():
        yield Finding(remark)
    surplus: list[str] = getattr(dataset, "surplus", list)()
    if surplus:
        yield Finding(f"{len(surplus):,} media files belong to no split: {some(surplus, SHOWN)}")


def _counts(split: Split, expected: tuple[int, int] | None) -> Finding:
    there = {"items": len(split.items), "labels" if split.labels else "captions": len(split.captions)}
    if not expected or tuple(there.values()) == tuple(expected):
        counted = ", ".join(f"{count:,} {word}" for word, count in there.items())
        return Finding(f"{split.name}: {counted}{', as expected' if expected else ''}")
    pairs = zip(there.items(), expected, strict=True)
    counted = ", ".join(f"{count:,} {word} of {wanted:,}" for (word, count), wanted in pairs)
    return Finding(f"{split.name}: {counted} expected", wrong=True)


def _absent(split: Split) -> list[str]:
    files = split.items.fetch
    if not isinstance(files, Files):
        return []
    there: dict[Path, set[str]] = {}
    paths = [files.paths[place] for place in split.items.positions.tolist()]
    for folder in {path.parent for path in paths}:  # asked at once, not name by name
        there[folder] = {entry.name for entry in os.scandir(folder)} if is_folder(folder) else set()
    return [str(path) for path in paths if path.name not in there[path.parent]]


def _duplicates(split: Split) -> Iterator[Finding]:
    names = [name for name, count in Counter(split.item_names).items() if count > 1]
    if names:
        yield Finding(f"  {len(names):,} names twice: {some(names, SHOWN)}", wrong=True)
    if split.labels:
        return
    captions = Counter(zip(split.owner.tolist(), split.captions, strict=True))
    again = sum(count - 1 for count in captions.values())
    if again:
        yield Finding(f"  {again:,} captions repeat another one of the same item")
    several = leaks(split, [])["ambiguous"]
    if several:
        yield Finding(f"  {several:,} captions fit several items")


def _undecodable(split: Split, files: Files, verdicts: list[Verdict]) -> Iterator[Finding]:
    places = split.items.positions.tolist()
    for place, verdict in zip(places, verdicts, strict=True):
        if verdict.why is not None and verdict.cause != "missing":  # those were counted before
            yield Finding(f"  {verdict.cause}: {shown(files.paths[place])}: {verdict.why}", wrong=True)
    whole = [verdict.digest for verdict in verdicts if verdict.why is None]
    same = len(whole) - len(set(whole))
    if same:
        yield Finding(f"  {same:,} files hold the same bytes as another one")
    yield Finding(f"  {len(whole):,} of {len(verdicts):,} files can be decoded")


def _shared(splits: Mapping[str, Split]) -> Iterator[Finding]:
    for name in ("test", "validation"):
        learned = [splits[each] for each in SPLITS[: SPLITS.index(name)] if each in splits]
        if name not in splits or not learned:
            continue
        found = leaks(splits[name], learned)
        others = " or ".join(split.name for split in learned)
        if found["items"]:
            yield Finding(f"leak: {found['items']:,} items of {name} are in {others} too", wrong=True)
        if found.get("captions"):
            yield Finding(f"leak: {found['captions']:,} captions of {name} read like one of {others}")

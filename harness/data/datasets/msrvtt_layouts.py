"""Where MSR-VTT's captions stand: the layouts of CLIP4Clip, of Frozen in Time, and the official files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.contract.dataset import Unavailable
from harness.reading import text_files

LISTS = "high-quality/structured-symlinks/"  # of Frozen in Time
CLIP4CLIP, FROZEN = "MSRVTT_data.json", "annotation/MSR_VTT.json"
OFFICIAL = ("train_val_videodatainfo.json", "test_videodatainfo.json")
SPLIT_OF = {"train": "train", "validate": "validation", "val": "validation", "test": "test"}
NAMES = {"train": "train", "validation": "val", "test": "test"}


@dataclass(slots=True)
class _Video:
    video_id: str
    split: str = ""


@dataclass(slots=True)
class _Sentence:
    video_id: str
    caption: str


@dataclass(slots=True)
class _Data:  # CLIP4Clip, official
    videos: list[_Video]
    sentences: list[_Sentence]


@dataclass(slots=True)
class _Annotation:
    image_id: str
    caption: str


@dataclass(slots=True)
class _Annotations:  # Frozen in Time
    annotations: list[_Annotation]


class Captioned(NamedTuple):
    layout: str
    captions: Mapping[str, tuple[str, ...]]  # by video, in the file's order
    splits: Mapping[str, str]  # video → train, validation, test; where the files say so
    more: str  # what to do where a video has no captions


def read(root: Path) -> Captioned:
    whole = text_files.first(root, [CLIP4CLIP, f"annotation/{CLIP4CLIP}"])
    if whole is not None:
        return _data([whole], "CLIP4Clip", root, "get the file again")
    frozen = text_files.first(root, [FROZEN])
    if frozen is not None:
        rows = text_files.document(frozen, _Annotations).annotations
        captions = _grouped((each.image_id, each.caption) for each in rows)
        return Captioned(f"Frozen in Time, {FROZEN}", captions, {}, "get the file again")
    there = [path for name in OFFICIAL if (path := text_files.first(root, [name, f"annotation/{name}"])) is not None]
    if there:
        absent = [name for name in OFFICIAL if name not in {path.name for path in there}]
        return _data(there, "official", root, f"put {absent[0]} there as well" if absent else "get the files again")
    raise Unavailable(
        f"msrvtt: no captions below {root}: none of {CLIP4CLIP}, {FROZEN}, {OFFICIAL[0]}; get MSRVTT_data.json as "
        "prepared for CLIP4Clip (github.com/ArrowLuo/CLIP4Clip)"
    )


def full(root: Path, source: Captioned) -> dict[str, list[str]]:
    """The official splits: from lists where there are any, else as the caption files say."""
    paths = {split: text_files.first(root, [f"{LISTS}{name}_list_full.txt"]) for split, name in NAMES.items()}
    found = {split: text_files.listed(path) for split, path in paths.items() if path is not None}
    for video, split in source.splits.items():
        if paths[split] is None:
            found.setdefault(split, []).append(video)
    absent = [split for split in NAMES if split not in found]
    if absent:
        raise Unavailable(
            f"msrvtt: {source.layout} doesn't say which videos the full {absent[0]} split has; {source.more}, or put "
            f"{NAMES[absent[0]]}_list_full.txt into {root / LISTS}"
        )
    return found


def _data(paths: list[Path], layout: str, root: Path, more: str) -> Captioned:
    captions: dict[str, tuple[str, ...]] = {}
    splits: dict[str, str] = {}
    for path in paths:
        data = text_files.document(path, _Data)
        captions |= _grouped((each.video_id, each.caption) for each in data.sentences)
        splits |= {each.video_id: SPLIT_OF[each.split] for each in data.videos if each.split in SPLIT_OF}
    names = ", ".join(path.relative_to(root).as_posix() for path in paths)
    return Captioned(f"{layout}, {names}", captions, splits, more)


def _grouped(rows: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    captions: dict[str, list[str]] = defaultdict(list)
    for video, caption in rows:
        captions[video].append(caption)
    return {video: tuple(each) for video, each in captions.items()}

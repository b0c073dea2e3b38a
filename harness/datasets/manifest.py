"""Your own data: a CSV or JSONL file that says which captions or labels belong to which media file, or to which vector.

One row a caption, or one row an item with a list of captions. Columns: `path` (a media file) or `row` (of the embedding
file that `vectors` names); `caption` or `label`; if need be `split`, and `id`, the item's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from harness import files, media
from harness.dataset import Contents, Modality, Split, Unavailable, texts
from harness.datasets.fences import Fence
from harness.datasets.rows import rows
from harness.problems import Problems, meant

SPLITS = ("train", "validation", "test")
ALSO = {"val": "validation", "valid": "validation", "dev": "validation", "eval": "test", "evaluation": "test"}
COLUMNS = ("path", "row", "caption", "label", "split", "id")


@dataclass
class Item:
    name: str
    place: str | int  # a path, or the row of a vector
    line: int  # where it turned up first
    split: str
    told: list[str] = field(default_factory=list)


class Manifest:
    generated = False

    def __init__(
        self,
        path: Path,
        modality: Modality,
        media: str = "",
        vectors: Path | None = None,
        split: Mapping[str, float] | None = None,
        columns: Mapping[str, str] | None = None,
        broken: float = 0.01,
        allow_outside: bool = False,
        rate: int = 16_000,
        frames: int = 8,
    ) -> None:
        """`media`: the folder of the files, seen from the manifest's. `split`: shares of items, the rest is train."""
        if not path.is_file():
            raise Unavailable(f"manifest: nothing at {path}; name a CSV or JSONL file, seen from the suite's file")
        self.path, self.modality, self.vectors, self.broken = path, modality, vectors, broken
        self.name = path.stem
        self.folder = path.parent / media
        self.allow_outside, self.rate, self.frames = allow_outside, rate, frames
        self.shares = dict(split or {})
        self.columns = {name: name for name in COLUMNS} | dict(columns or {})
        shaping = [media, modality, self.shares, self.columns, rate, frames]
        self.digest = files.digest([files.file_digest(path), *shaping])
        self._items: list[Item] = []
        self._told = ""  # captions or labels: the column that it has

    @property
    def layout(self) -> str:
        return f"{self.path}, vectors in {self.vectors}" if self.vectors else f"{self.path}, media in {self.folder}"

    def split(self, name: str) -> Split:
        self._items = self._items or self._read()
        mine = [item for item in self._items if item.split == name]
        source = f"{self.name} {self.digest[:16]}:{name}"
        return Split(
            name=name,
            items=self._contents(mine, f"{source}:items"),
            item_names=[item.name for item in mine],
            captions=texts([text for item in mine for text in item.told]),
            owner=np.repeat(np.arange(len(mine)), [len(item.told) for item in mine]),
            labels=self._told == "label",
        )

    def _contents(self, items: list[Item], source: str) -> Contents:
        if self.vectors is None:
            paths = [self.folder / str(item.place) for item in items]
            return media.files(self.modality, paths, source, rate=self.rate, frames=self.frames)
        rows_of = np.array([item.place for item in items], np.int64)
        why = (
            f"{self.path} names rows of {self.vectors} and no media files: use the encoder `precomputed`, and "
            "retrievers that ask no other"
        )
        return Contents(self.modality, lambda row: NoMedia(row, why), rows_of, f"{self.vectors.name}:{source}")

    # -- reading ------------------------------------------------------------------------------------------------------

    def _read(self) -> list[Item]:
        """All items, in the order in which they turn up; or everything that is wrong with the file."""
        problems = Problems(self.path)
        self._check_arguments(problems)
        fence, vectors = Fence(self.folder, self.allow_outside), self._vectors()
        items: dict[tuple[str, str], Item] = {}
        where: dict[str, str | int] = {}
        for line, values in rows(self.path, problems):
            if not self._told:
                self._told = self._check_columns(list(values), line, problems)
            given = {name: values.get(column) for name, column in self.columns.items()}
            place = self._vector(given["row"], vectors) if self.vectors else self._file(given["path"], fence)
            told = given[self._told]
            words: list[Any] = told if isinstance(told, list) else [told]
            split = self._split(given["split"])
            wrong = [each for each in (place, split, _wrong_words(words)) if isinstance(each, Wrong)]
            if wrong:
                problems.add(line, wrong[0])
                continue
            name = str(place) if given["id"] in (None, "") else str(given["id"])
            if where.setdefault(name, place) != place:
                problems.add(
                    line,
                    f"the item {name[:80]!r} is at {str(place)[:80]!r}, and was at {str(where[name])[:80]!r}; expected "
                    f"one {'row' if self.vectors else 'file'} an item; give each an `id` of its own",
                )
                continue
            item = items.setdefault((name, split), Item(name, place, line, split))
            item.told += words
        problems.raise_if_any()
        if not items:
            raise problems.fail(None, "no rows; expected a first line with names of columns, and one row a caption")
        found = list(items.values())
        if self.shares:
            _assign(found, self.shares)
        return found

    def _check_arguments(self, problems: Problems) -> None:
        for name in self.columns.keys() - set(COLUMNS):
            problems.add(
                None,
                f"`columns` of the suite has {name[:80]!r}; expected {', '.join(COLUMNS)}; correct "
                f"it{meant(name, COLUMNS)}",
            )
        known = (*SPLITS, "seed")
        shares = {name: share for name, share in self.shares.items() if name != "seed"}
        if self.shares.keys() - set(known) or sum(shares.values()) > 1 or any(share < 0 for share in shares.values()):
            problems.add(
                None,
                f"`split` of the suite is {self.shares}; expected shares of {', '.join(SPLITS)} that make at most 1, "
                "and a `seed`; write for instance {test: 0.2, validation: 0.1, seed: 0}",
            )
        problems.raise_if_any()

    def _check_columns(self, present: list[str], line: int, problems: Problems) -> str:
        """Whether the columns that are needed are there; `caption` or `label`, whichever it has."""
        has = {name for name, column in self.columns.items() if column in present}
        needed = "row" if self.vectors else "path"
        lacking: list[str] = [] if needed in has else [needed]
        if len(has & {"caption", "label"}) != 1:
            lacking.append("caption or label (one of them)")
        for name in lacking:
            column = self.columns.get(name, name)
            hint = meant(column.partition(" ")[0], present)
            problems.add(
                line,
                f"the columns are {', '.join(map(str, present))[:300]}; expected {column}; name it so, or say which it "
                f"is in the suite: columns: {{{name.partition(' ')[0]}: …}}{hint}",
            )
        if "split" in has and self.shares:
            problems.add(
                line,
                f"there is a column {self.columns['split']!r}, and the suite gives shares; expected one of them; "
                "remove one",
            )
        problems.raise_if_any()
        return "caption" if "caption" in has else "label"

    def _file(self, name: Any, fence: Fence) -> str | Wrong:
        if not isinstance(name, str) or not _whole(name):
            return Wrong(f"path is {name!r:.80}; expected text: a media file, seen from {self.folder}; write it")
        objection = fence.objection(name)
        if objection:
            return Wrong(
                f"path {name[:200]!r} {objection}; expected a file in {self.folder}; move it there, or say "
                "`allow_outside: true` in the suite if you trust this manifest"
            )
        return name

    def _vectors(self) -> int | None:
        """How many there are, where the file says so at once."""
        if self.vectors is None:
            return None
        if not self.vectors.is_file():
            raise Unavailable(
                f"manifest: nothing at {self.vectors}; name the file of vectors, seen from the suite's file"
            )
        return len(np.load(self.vectors, mmap_mode="r")) if self.vectors.suffix == ".npy" else None

    def _vector(self, row: Any, count: int | None) -> int | Wrong:
        text = str(row)
        if isinstance(row, bool) or not text.isdecimal() or (count is not None and int(text) >= count):
            last = "" if count is None else f" to {count - 1}"
            return Wrong(
                f"row is {row!r:.80}; expected a row of {self.vectors}, a whole number from 0{last}; correct it"
            )
        return int(text)

    def _split(self, value: Any) -> str | Wrong:
        """Without a column and without shares everything is there to be asked, nothing to learn from."""
        if value is None:
            return "test"
        name = ALSO.get(str(value), str(value))
        if name not in SPLITS:
            return Wrong(f"split is {value!r:.80}; expected {', '.join(SPLITS)}; correct it{meant(str(value), SPLITS)}")
        return name


@dataclass(frozen=True)
class NoMedia:
    """Stands where media would, as the number of its row; whoever looks for pixels or samples is told better."""

    row: int
    why: str

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array([self.row], dtype)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self.why} (no {name})")


class Wrong(str):
    """What is wrong with a value."""


def _wrong_words(words: list[Any]) -> Wrong | None:
    if not words:
        return Wrong("no captions; expected one at least; remove the item, or describe it")
    for text in words:
        if not isinstance(text, str) or not text.strip() or not _whole(text):
            return Wrong(f"a caption or label is {text!r:.80}; expected some words; write them, or remove the row")
    return None


def _whole(text: str) -> bool:
    """JSON can spell halves of characters, which can't be written anywhere else."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _assign(items: list[Item], shares: Mapping[str, float]) -> None:
    """Splits drawn by item: by a digest of its name, so that another order of the rows changes nothing."""

    def draw(item: Item) -> bytes:
        return hashlib.sha256(f"{shares.get('seed', 0):g}\0{item.name}".encode("utf-8", "surrogatepass")).digest()

    drawn: Iterator[Item] = iter(sorted(items, key=draw))
    for name in ("test", "validation"):
        for _ in range(round(shares.get(name, 0.0) * len(items))):
            next(drawn).split = name
    for item in drawn:
        item.split = "train"

"""Your own data: a CSV or JSONL file that says which captions or labels belong to which media file, or to which vector.

One row a caption, or one row an item with a list or several columns of captions. Columns: `path` (a media file) or
`row` (of the file that `vectors` names); `caption` or `label`; if need be `split`, and `id`, the item's name.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import numpy as np
from pydantic import Field, field_validator

from harness.contract.dataset import WHOLE, Contents, Order, Split, Unavailable, texts
from harness.contract.entry import Entry
from harness.contract.problems import Problems, meant
from harness.contract.settings import Conflict, Frames, Medium, Settings
from harness.data import media
from harness.data.datasets.fences import Fence
from harness.data.media.job import LONGEST_S
from harness.machine import files
from harness.reading import vectors as vector_files
from harness.reading.rows import rows

SPLITS = ("train", "validation", "test")
ALSO = {"val": "validation", "valid": "validation", "dev": "validation", "eval": "test", "evaluation": "test"}
COLUMNS = ("path", "row", "caption", "label", "split", "id")


@dataclass
class Item:
    name: str
    place: str | int  # a path, or the row of a vector
    line: int  # where it turned up first
    split: str
    number: int  # among all items
    captions: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)  # of its captions, among those of the whole file


class ManifestSettings(Settings):
    later = frozenset({"longest_s"})
    path: Path = Field(description="a CSV or JSONL file")
    modality: Medium = Field(description="of the files or vectors")
    media: str = Field("", description="the folder of the files, seen from the manifest's")
    vectors: Path | None = Field(None, description="a file of vectors in place of media files")
    split: dict[str, Annotated[float, Field(ge=0)]] = Field({}, description="shares of items, the rest is train")
    columns: dict[str, str | list[str]] = Field({}, description="what columns are called, where not as here")
    broken: float = Field(
        0.01, ge=0, le=1, description="the share of files that may be undecodable; with more it fails"
    )
    allow_outside: bool = Field(False, description="paths may leave the folder")
    rate: int = Field(16_000, ge=1000, le=384_000, description="of sound, samples a second")
    frames: Frames = 8
    longest_s: float = Field(LONGEST_S, gt=0, le=86_400, description="sound and video of more seconds is left out")

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        for name, column in columns.items():
            if name not in COLUMNS:
                wrong = f"columns has {name[:80]!r}; expected {', '.join(COLUMNS)}; correct it{meant(name, COLUMNS)}"
                raise Conflict("columns", wrong)
            if isinstance(column, list) and (name not in ("caption", "label") or not column):
                raise Conflict(
                    "columns",
                    f"columns has {name}: {column}; expected the name of one column, or for caption or label a list "
                    "of several; correct it",
                )
        return columns

    @field_validator("split")
    @classmethod
    def _shares(cls, split: dict[str, float]) -> dict[str, float]:
        if split.keys() - {*SPLITS, "seed"} or sum(share for name, share in split.items() if name != "seed") > 1:
            raise Conflict(
                "split",
                f"split is {split}; expected shares of {', '.join(SPLITS)} that make at most 1, and a `seed`; write "
                "for instance {test: 0.2, validation: 0.1, seed: 0}",
            )
        return split


class Manifest:
    generated = False

    def __init__(self, settings: ManifestSettings) -> None:
        self.path = settings.path
        if not self.path.is_file():
            raise Unavailable(f"manifest: nothing at {self.path}; name a CSV or JSONL file, seen from the suite's file")
        self.modality, self.vectors, self.broken = settings.modality, settings.vectors, settings.broken
        self.name = self.path.stem
        self.folder = self.path.parent / settings.media
        self.allow_outside, self.rate = settings.allow_outside, settings.rate
        self.frames, self.longest_s = settings.frames, settings.longest_s
        self.shares = dict(settings.split)
        self.columns: dict[str, str | list[str]] = {**{name: name for name in COLUMNS}, **settings.columns}
        self.stated = [name for name in ("caption", "label") if name in settings.columns]  # decides where it has both
        stated = [name for name in self.stated if settings.columns[name] == name]  # all others show in `columns`
        shaping = [settings.media, self.modality, self.shares, self.columns, self.rate, self.frames, *stated]
        self.digest = files.digest([files.file_digest(self.path), *shaping])
        self._items: list[Item] = []
        self._count = 0  # rows of the file of vectors
        self._text_column = ""  # caption or label: the one that it has

    @property
    def layout(self) -> str:
        return f"{self.path}, vectors in {self.vectors}" if self.vectors else f"{self.path}, media in {self.folder}"

    def split(self, name: str) -> Split:
        self._items = self._items or self._read()
        mine = [item for item in self._items if item.split == name]
        source = f"{self.name} {self.digest[:16]}:{name}"
        captions = texts([text for item in mine for text in item.captions])
        rows_of = [row for item in mine for row in item.rows]
        return Split(
            name=name,
            items=self._contents(mine, name, f"{source}:items"),
            item_names=[item.name for item in mine],
            captions=replace(
                captions, orders=self._orders(name, rows_of, sum(len(each.captions) for each in self._items))
            ),
            owner=np.repeat(np.arange(len(mine)), [len(item.captions) for item in mine]),
            labels=self._text_column == "label",
        )

    @staticmethod
    def _orders(split: str, rows_of: list[int], count: int) -> dict[str, Order]:
        """As the file has them: all of them, and those of a split alone."""
        found = np.array(rows_of, np.int64)
        return {WHOLE: Order(found, count), split: Order(found.argsort().argsort(), len(found))}

    def _contents(self, items: list[Item], split: str, source: str) -> Contents:
        if self.vectors is None:
            paths = [self.folder / str(item.place) for item in items]
            rate, frames, longest_s = self.rate, self.frames, self.longest_s
            made = media.files(self.modality, paths, source, rate=rate, frames=frames, longest_s=longest_s)
            return replace(made, orders=self._orders(split, [item.number for item in items], len(self._items)))
        rows_of = np.array([item.place for item in items], np.int64)
        why = (
            f"{self.path} names rows of {self.vectors} and no media files: use the encoder `precomputed`, and "
            "retrievers that ask no other"
        )
        whole = {WHOLE: Order(np.arange(self._count), self._count)}
        named = f"{self.vectors.name}:{source}"
        return Contents(self.modality, lambda row: NoMedia(row, why), rows_of, named, orders=whole)

    # -- reading ------------------------------------------------------------------------------------------------------

    def _read(self) -> list[Item]:
        """All items, in the order in which they turn up; or everything that is wrong with the file."""
        problems = Problems(self.path)
        fence = Fence(self.folder, self.allow_outside)
        self._count = len(vector_files.read(self.vectors)[0]) if self.vectors else 0
        captions = 0
        items: dict[tuple[str, str], Item] = {}
        where: dict[str, str | int] = {}
        for line, values in rows(self.path, problems):
            if not self._text_column:
                self._text_column = self._check_columns(list(values), line, problems)
            given = {name: _value(values, column) for name, column in self.columns.items()}
            place = self._vector(given["row"]) if self.vectors else self._file(given["path"], fence)
            value = given[self._text_column]
            words: list[Any] = value if isinstance(value, list) else [value]
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
            item = items.setdefault((name, split), Item(name, place, line, split, len(items)))
            item.captions += words
            item.rows += range(captions, captions + len(words))
            captions += len(words)
        problems.raise_if_any()
        if not items:
            raise problems.fail(None, "no rows; expected a first line with names of columns, and one row a caption")
        found = list(items.values())
        if self.shares:
            _assign(found, self.shares)
        return found

    def _check_columns(self, present: list[str], line: int, problems: Problems) -> str:
        """Whether the columns that are needed are there; `caption` or `label`, whichever it has."""
        absent = {
            name: [each for each in _several(wanted) if each not in present] for name, wanted in self.columns.items()
        }
        has = {name for name, columns in absent.items() if not columns}
        needed = "row" if self.vectors else "path"
        lacking: dict[str, str] = {} if needed in has else {needed: absent[needed][0]}
        for name, wanted in self.columns.items():
            if isinstance(wanted, list) and absent[name]:
                lacking[name] = ", ".join(absent[name])
        both = has >= {"caption", "label"}
        if both and len(self.stated) == 1:
            has = has - {"caption", "label"} | {*self.stated}
        elif both:
            problems.add(
                line,
                f"there are both a column {self.columns['caption']!r} and a column {self.columns['label']!r}; expected "
                "one of them; remove one, or say which it is in the suite: columns: "
                f"{{caption: {self.columns['caption']}}}",
            )
        elif not has & {"caption", "label"} and not lacking.keys() & {"caption", "label"}:
            lacking["caption"] = "caption or label (one of them)"
        for name, wanted in lacking.items():
            numbered = [column for column in present if re.fullmatch(rf"{name}s?[ _.-]?\d+", column, re.IGNORECASE)]
            value, hint = "…", meant(str(self.columns[name]), present)
            if len(numbered) > 1:
                value, hint = f"[{', '.join(numbered)}]", ""
            problems.add(
                line,
                f"the columns are {', '.join(map(str, present))[:300]}; expected {wanted}; name it so, or say which it "
                f"is in the suite: columns: {{{name}: {value}}}{hint}",
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
        name = _found(self.folder, name, fence)
        objection = fence.objection(name)
        if objection:
            return Wrong(
                f"path {name[:200]!r} {objection}; expected a file in {self.folder}; move it there, or say "
                "`allow_outside: true` in the suite if you trust this manifest"
            )
        return name

    def _vector(self, row: Any) -> int | Wrong:
        text = str(row)
        if isinstance(row, bool) or not text.isdecimal() or int(text) >= self._count:
            return Wrong(
                f"row is {row!r:.80}; expected a row of {self.vectors}, a whole number from 0 to {self._count - 1}; "
                "correct it"
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
    """In place of an item without a file: its row number. Reading pixels or samples fails with a clear message."""

    row: int
    why: str

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array([self.row], dtype)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self.why} (no {name})")


def _several(columns: str | list[str]) -> list[str]:
    return columns if isinstance(columns, list) else [columns]


def _value(values: Mapping[str, Any], column: str | list[str]) -> Any:
    """What stands in a column, or the texts of several: empty ones are left out."""
    if isinstance(column, str):
        return values.get(column)
    return [text for each in column if (text := values.get(each)) is not None and str(text).strip()]


class Wrong(str):
    """What is wrong with a value."""


def _found(folder: Path, name: str, fence: Fence) -> str:
    """The path as it is written; without the spaces around it, where something lies there alone."""
    bare = name.strip()
    if bare == name or fence.objection(name) or fence.objection(bare):
        return name
    try:
        return bare if not (folder / name).exists() and (folder / bare).exists() else name
    except OSError:  # such as a name that is too long
        return name


def _wrong_words(words: list[Any]) -> Wrong | None:
    if not words:
        return Wrong("no captions; expected one at least; remove the row, or describe it")
    for text in words:
        if not isinstance(text, str) or not text.strip() or not _whole(text):
            return Wrong(f"a caption or label is {text!r:.80}; expected some words; write them, or remove the row")
    return None


def _whole(text: str) -> bool:
    """JSON can spell halves of characters, which can't be written anywhere else."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _assign(items: list[Item], shares: Mapping[str, float]) -> None:
    """Splits drawn by item: by a digest of its name, so that another order of the rows changes nothing.

    Where the shares of test and validation both round up, validation gets what is left.
    """

    def draw(item: Item) -> bytes:
        return hashlib.sha256(f"{shares.get('seed', 0):g}\0{item.name}".encode("utf-8", "surrogatepass")).digest()

    drawn: Iterator[Item] = iter(sorted(items, key=draw))
    for name in ("test", "validation"):
        for item in itertools.islice(drawn, round(shares.get(name, 0.0) * len(items))):
            item.split = name
    for item in drawn:
        item.split = "train"


ENTRY = Entry(
    "harness.data.datasets.manifest:Manifest",
    ManifestSettings,
    about="your own files or vectors: a CSV or JSONL of paths and captions or labels",
)

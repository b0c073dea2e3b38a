"""Reads annotation files as they circulate, for the loaders of recorded datasets.

Whatever is wrong with a file comes in one error, each problem with its line or key. Nothing is stripped from a field:
names of files may begin with a blank.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from harness.contract.dataset import Unavailable
from harness.contract.problems import MOST_PROBLEMS, Problems
from harness.reading.delimited import csv_rows


class Line(NamedTuple):
    number: int  # of the line it begins on
    values: tuple[str, ...]


def first(root: Path, names: Iterable[str]) -> Path | None:
    """The first of these files that is there."""
    try:
        return next((root / name for name in names if (root / name).is_file()), None)
    except OSError as error:
        raise Unavailable(f"{error.filename or root} can't be read ({error.strerror}); make it readable") from error


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(f"{path} can't be read ({error.strerror}); make it readable, or get it again") from error


def text(path: Path) -> str:
    data = content(path)
    try:
        whole = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Problems(path).fail(
            line, f"byte 0x{data[error.start]:02x} is not UTF-8; expected UTF-8; save the file so, or get it again"
        ) from error
    if "\0" in whole:
        line = whole.count("\n", 0, whole.index("\0")) + 1
        raise Problems(path).fail(line, "a NUL character; expected text; save the file as UTF-8, or get it again")
    return whole


def table(path: Path, columns: Sequence[str]) -> list[Line]:
    """The values of these columns, in their order, of every row of a CSV."""
    problems = Problems(path)
    header, found = csv_rows(text(path), problems)
    lacking = [name for name in columns if name not in header]
    if lacking:
        raise problems.fail(
            1,
            f"the columns are {', '.join(header)[:200] or 'none'}; expected {', '.join(columns)}; "
            "is this the file that its name says?",
        )
    places = [header.index(name) for name in columns]
    chosen = [Line(number, tuple(fields[place] for place in places)) for number, fields in found]
    problems.raise_if_any()
    return chosen


def lines(path: Path) -> list[tuple[int, str]]:
    """Every line with something on it, and its number."""
    numbered = enumerate(text(path).split("\n"), 1)  # `splitlines` would break at odd characters inside a caption
    return [(number, line.rstrip("\r")) for number, line in numbered if line.strip()]


def listed(path: Path) -> list[str]:
    """A name a line."""
    return [line.strip() for _, line in lines(path)]


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def document(path: Path, kind: Any) -> Any:
    """A JSON file of this type; keys that the type doesn't name are passed over, and cost no memory."""
    try:
        return _adapter(kind).validate_json(content(path), strict=True)
    except ValidationError as error:
        problems = Problems(path)
        for wrong in error.errors(include_url=False, include_context=False)[:MOST_PROBLEMS]:
            line = re.search(r"at line (\d+)", wrong["msg"]) if wrong["type"] == "json_invalid" else None
            if line:
                raise problems.fail(
                    int(line[1]), f"{wrong['msg']}; expected a whole JSON file; get it again"
                ) from error
            where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in wrong["loc"]).lstrip(".")
            problems.add(
                None, f"{where or 'the whole'} is {wrong['input']!r:.60}: {wrong['msg'].lower()}; get the file again"
            )
        problems.raise_if_any()
        raise


class _Plain(pickle.Unpickler):
    """Lists, dictionaries, text and numbers need no globals; one would mean running code from the file."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def plain_pickle(path: Path) -> Any:
    """What a pickle holds, provided that it is made of lists, dictionaries, text and numbers alone."""
    try:
        return _Plain(io.BytesIO(content(path))).load()
    except Exception as error:  # a broken pickle raises whatever it likes
        raise Problems(path).fail(
            None, f"is no pickle of plain values ({error}); only lists, dictionaries, text and numbers are read"
        ) from error

"""The rows of a CSV, TSV or JSONL file, each with its line, for whoever must say where something is wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.problems import Problems

JSON_LINES = (".jsonl", ".ndjson")
DELIMITERS = ",\t;"


def rows(path: Path, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line and values. What is wrong with a row is added to the `problems`, and the row left out."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = data[error.start]
        raise problems.fail(
            line, f"byte 0x{byte:02x} is no UTF-8; expected UTF-8 text; save the file as such"
        ) from None
    yield from _json_lines(text, problems) if path.suffix.lower() in JSON_LINES else _table(text, problems)


def _json_lines(text: str, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.add(number, f"no JSON ({error}); expected one object a line; correct it")
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            problems.add(number, f'a JSON {type(value).__name__}; expected an object; write for instance {{"path": …}}')


def _table(text: str, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=first.count))
    try:
        names = next(reader, [])
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise problems.fail(1, f"the column {twice[:80]!r} twice; expected each name once; rename one")
        begun = reader.line_num
        for fields in reader:
            line, begun = begun + 1, reader.line_num
            if len(fields) == len(names):
                yield line, dict(zip(names, fields, strict=True))
            elif fields:  # an empty line is none
                problems.add(
                    line,
                    f"{len(fields)} fields; expected {len(names)}, as in the first line ({', '.join(names)[:200]}); "
                    "put what holds a comma or a quote in quotes",
                )
    except csv.Error as error:
        raise problems.fail(reader.line_num, f"no CSV here ({error}); expected one row a line; correct it") from None

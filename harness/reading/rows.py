"""The rows of a CSV, TSV or JSONL file, each with its line: for manifests, and for captions from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.contract.problems import Problems
from harness.reading import text_files
from harness.reading.delimited import csv_rows

JSON_LINES = (".jsonl", ".ndjson")


def rows(path: Path, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line and values. What is wrong with a row is added to the `problems`, and the row left out."""
    text = text_files.text(path)
    if path.suffix.lower() in JSON_LINES:
        yield from json_lines(text, problems)
        return
    begins = text.lstrip()[:1]
    if path.suffix.lower() == ".json" and begins in ("[", "{"):
        what = "a JSON list" if begins == "[" else "JSON"
        raise problems.fail(None, f"{what}; expected a CSV, or one object a line (.jsonl); write it so")
    header, found = csv_rows(text, problems)
    for line, fields in found:
        yield line, dict(zip(header, fields, strict=True))


def json_lines(text: str, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """One object a line; empty lines are none."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, object_pairs_hook=_each_once)
        except (ValueError, RecursionError) as error:
            problems.add(number, f"no JSON ({error}); expected one object a line; correct it")
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            problems.add(number, f'a JSON {type(value).__name__}; expected an object; write for instance {{"path": …}}')


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one key JSON's readers keep the last and lose the other."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key twice in one object")
    return dict(pairs)

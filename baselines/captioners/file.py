"""The `file` captioner: captions that were written elsewhere, one JSON object a line.

    {"item": "clip-17", "captions": ["a dog barks", "barking, then steps"]}
    {"item": "clip-18", "caption": "rain"}                      or one caption a row, as many rows as one likes

`item` is the dataset's name of a candidate, as in a run's `tasks/<task>.json.gz`. The origin of such captions is
unknown, so they are audited: compared with the real ones, and the run says how many are equal.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from baselines.captioners.settings import FileCaptionerSettings
from harness.contract.dataset import Contents, Pairs, Unavailable
from harness.contract.instruments import Captioner, unsealed
from harness.contract.problems import BadInput, Problems, some
from harness.machine import files
from harness.machine.progress import say
from harness.reading import text_files
from harness.reading.rows import json_lines


class Row(NamedTuple):
    line: int  # where the item came first
    texts: list[str]
    whole: bool  # a row of `captions`: it must be the only one of its item


class FileCaptioner(Captioner):
    audited = True

    def __init__(self, settings: FileCaptionerSettings, reveal: Callable[[Contents], Contents] | None = None) -> None:
        self._reveal = reveal or unsealed  # contents are sealed, and captions go by names
        self.path = settings.path
        self.samples = settings.samples or 0  # at most so many of each candidate, the first ones; 0: all of them

    def fit(self, train: Pairs, validation: Pairs) -> None:
        """Nothing is learnt; the file is checked before anything is made from it."""
        read(self.path)
        self.digest_of_file = files.file_digest(self.path)

    def describe(self, contents: Contents) -> list[list[str]]:
        names = self._reveal(contents).names
        if names is None:
            raise BadInput(f"{self.path}: captions go by the names of items, and this {contents.modality} has none")
        if files.path_digest(self.path) != self.digest_of_file:
            raise BadInput(f"{self.path} is no longer what it was when this run began: run again")
        known = read(self.path)
        missing = [name for name in names if name not in known]
        if missing:
            raise BadInput(
                f"{self.path}: no captions for {len(missing):,} of {len(names):,} candidates: {some(missing)}; add a "
                f"row for each (the file has {some(list(known))})"
            )
        surplus = known.keys() - set(names)
        if surplus:
            say(f"    {self.path}: {len(surplus):,} items are not asked for: {some(sorted(surplus))}")
        return [known[name].texts[: self.samples or None] for name in names]

    def save(self, folder: Path) -> None:
        (folder / "file.json").write_text(json.dumps({"sha256": self.digest_of_file}))

    def load(self, folder: Path) -> None:
        self.digest_of_file = json.loads((folder / "file.json").read_text())["sha256"]


def read(path: Path) -> dict[str, Row]:
    """The captions of each item; all that is wrong with the file comes in one error, each with its line."""
    try:
        text = text_files.text(path)
    except Unavailable as reason:
        raise Unavailable(
            f"captions from {reason}; expected a file with a row "
            '{"item": "<name>", "captions": ["…"]} for each candidate'
        ) from reason
    problems = Problems(path)
    known: dict[str, Row] = {}
    for line, row in json_lines(text, problems):
        problem = _take(row, line, known)
        if problem:
            problems.add(line, problem)
    if not known:
        problems.add(None, 'no captions in it; expected a row {"item": "<name>", "captions": ["…"]} for each candidate')
    problems.raise_if_any()
    return known


def _take(row: dict[str, Any], line: int, known: dict[str, Row]) -> str | None:
    """Put one row among the known; or what is wrong with it."""
    item, whole = row.get("item"), "captions" in row
    if not isinstance(item, str) or not item:
        return f"item is {_kind(item) if 'item' in row else 'missing'}; expected the name of a candidate"
    if whole == ("caption" in row):
        return f"{item!r} has {'both' if whole else 'neither'} captions and caption; expected one of them"
    texts = row["captions"] if whole else [row["caption"]]
    if not isinstance(texts, list) or not texts:
        return f"captions of {item!r} is {_kind(texts)}; expected a list with at least one text"
    for text in texts:
        if not isinstance(text, str) or not text.strip() or not _whole(text):
            return f"a caption of {item!r} is {_kind(text)}; expected a text with words in it"
    before = known.get(item)
    if before and (whole or before.whole):
        return f"{item!r} was there already, on line {before.line}; keep one of the rows, or write `caption` rows only"
    known[item] = before or Row(line, [], whole)
    known[item].texts.extend(texts)
    return None


def _whole(text: str) -> bool:
    """JSON can spell half a surrogate pair, which no file or digest can hold."""
    return not any(0xD800 <= ord(letter) < 0xE000 for letter in text)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    if value is None:
        return "null"
    if isinstance(value, str):
        return repr(value[:40]) if value.strip() else "an empty text"
    return f"an empty {names[type(value)].split()[-1]}" if value in ([], {}) else names[type(value)]

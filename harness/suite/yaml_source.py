"""A YAML file from its path to values that know their lines; whatever is wrong with it ends in a sentence."""

from __future__ import annotations

import difflib
import stat
from pathlib import Path
from typing import Any

import yaml

from harness.contract.problems import Problems
from harness.machine.files import objection
from harness.suite.yaml_tree import UNPRINTABLE, Node, Tree

MOST_BYTES = 2**20
NEVER_CLOSED = ("unexpected end of stream", "expected ',' or")
LOADERS: list[Any] = [yaml.SafeLoader]
if hasattr(yaml, "CSafeLoader"):  # ten times faster; there when PyYAML was built with libyaml
    LOADERS.insert(0, yaml.CSafeLoader)

# Words of the parser's messages → what was found; what was expected; what to do.
SYNTAX = {
    "mapping values are not allowed": "a second `: ` in one value, or a key that is indented too far; expected one "
    "`key: value` a line; put text that holds `: ` in quotes, or align the key with its neighbours",
    "undefined tag handle": "a tag (`!…`); expected plain values; remove the tag",
    "cannot start any token": "a character that can't begin a value, such as @ ` or %; expected text, a number, a list "
    "or a mapping; put the value in quotes",
    "could not find expected ':'": "a line without `:`; expected `key: value`; add the `:` or indent the line",
    "unexpected end of stream": "a quote or bracket that is never closed; expected its end; close it",
    "expected ',' or": "a list or mapping in brackets that isn't closed or lacks a comma; expected `,` or the closing "
    "bracket; add it",
    "expected '-' indicator": "a line that doesn't belong to the list above it; expected `- ` at the same indentation; "
    "align it",
    "expected key": "a line that doesn't belong to the mapping above it; expected `key: value` at the same "
    "indentation; align it",
    "block end": "a line whose indentation fits nothing above it; expected the indentation of its neighbours; align it",
    "escape": "an unknown escape in double quotes; expected \\n, \\t, \\\\ or the like; use single quotes or double "
    "the backslash",
}


def read(path: str | Path, loader: Any = LOADERS[0]) -> tuple[str, Node, Problems]:
    """The file's text, its values, and what can be complained of so far without giving up."""
    problems = Problems(path)
    text = _decoded(_bytes(Path(path), problems), problems)
    try:
        root = Tree(yaml.parse(text, Loader=loader), problems).build()
    except yaml.MarkedYAMLError as error:
        raise problems.fail(*_sentence(error, text.splitlines())) from None
    except yaml.YAMLError as error:
        raise problems.fail(None, f"not YAML ({error}); expected `key: value` lines; save it as plain text") from None
    if root is None or (root.text == "" and root.value is None and not root.broken):
        raise problems.fail(None, "the file is empty; expected a suite; start from a copy of suites/smoke.yaml")
    if not isinstance(root.value, dict) and not root.broken:
        found = "a list" if isinstance(root.value, list) else f"only {str(root.text)[:40]!r}"
        raise problems.fail(
            root.line, f"found {found}; expected `key: value` lines; start from a copy of suites/smoke.yaml"
        )
    return text, root, problems


def _bytes(path: Path, problems: Problems) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            inside = sorted(f"'{file}'" for file in path.glob("*.yaml"))[:8]
            hint = f"name one of {', '.join(inside)}" if inside else "name a file, for instance suites/smoke.yaml"
            raise problems.fail(None, f"this is a directory; expected a suite file; {hint}")
        wrong = objection(path)
        if wrong:
            raise problems.fail(None, wrong)
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise problems.fail(None, f"no such file; expected a suite; {_similar(path)}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL character
        reason = getattr(error, "strerror", None) or str(error)
        raise problems.fail(
            None, f"can't be read ({reason}); expected a readable suite file; check its name and its permissions"
        ) from None
    if len(data) > MOST_BYTES:
        raise problems.fail(
            None, f"larger than {MOST_BYTES:,} bytes; expected a suite of some hundred lines; is it the right file?"
        )
    return data


def _similar(path: Path) -> str:
    """What to do about a file that isn't there."""
    there = [file for folder in (path.parent, Path("suites")) for file in sorted(folder.glob("*.y*ml"))]
    suites = {str(file): file.stem for file in there}
    close = difflib.get_close_matches(path.stem, suites.values(), 1, 0.6)
    likely = [name for name, stem in suites.items() if close and stem == close[0]]
    if likely:
        return f"check the name (did you mean '{likely[0]}'?)"
    return f"there are {', '.join(list(suites)[:8])}" if suites else "check the name and the folder"


def _decoded(data: bytes, problems: Problems) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8"
        raise problems.fail(line, f"{found}; expected YAML text; save it as UTF-8, or name another file") from None
    odd = UNPRINTABLE.search(text)
    if odd:
        line = text.count("\n", 0, odd.start()) + 1
        raise problems.fail(line, f"control character U+{ord(odd[0]):04X}; expected YAML text; remove it")
    return text


def _sentence(error: yaml.MarkedYAMLError, lines: list[str]) -> tuple[int, str]:
    """Line and message for what the parser couldn't read."""
    mark = error.problem_mark or error.context_mark
    if error.context_mark and any(words in str(error.problem) for words in NEVER_CLOSED):
        mark = error.context_mark  # where it was opened; the parser noticed later
    line = min(mark.line + 1, max(len(lines), 1)) if mark else 1
    here = lines[line - 1] if lines else ""
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return line, "a tab in the indentation; YAML expects spaces; replace the tab with spaces"
    said = f"{error.context or ''} {error.problem or ''}".strip()
    for words, sentence in SYNTAX.items():
        if words in said:
            return line, sentence
    return (
        line,
        f"not YAML ({said[:200]}); expected `key: value` lines; check the indentation, quotes and brackets here",
    )

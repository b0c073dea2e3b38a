"""`list`: every kind in a line, or all that there is to say of one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from textwrap import shorten
from typing import Any

from pydantic_core import PydanticUndefined

from harness.contract.problems import BadInput, meant
from harness.contract.settings import PARADIGMS
from harness.suite.components import PYTHON
from harness.suite.registry import SECTIONS, Entry, Section, kinds, offering
from harness.suite.schema import described, marked, shapes

WIDTH = 100  # of a sentence in the list of all
INSTRUMENTS: Mapping[str, Section] = {"encoder": "encoders", "captioner": "captioners"}


def every() -> Iterator[str]:
    for section in SECTIONS:
        entries = dict(kinds(section))
        groups = dict.fromkeys([*PARADIGMS, *(entry.paradigm for entry in entries.values())])
        for paradigm in groups if section == "retrievers" else [""]:
            mine = {
                name: each for name, each in entries.items() if section != "retrievers" or each.paradigm == paradigm
            }
            if mine:
                yield f"{section}{f', {paradigm}' if paradigm else ''}:"
            for name, entry in mine.items():
                missing = entry.missing() or (None if entry.target else "can't be used")
                about = shorten(entry.about, WIDTH, placeholder=" …") if entry.target else entry.about
                yield f"  {name:22}{about}{f'  [{missing}]' if missing else ''}"
    yield "`list KIND` tells what one takes, needs and offers; `kind: python` is a class of your own, see README.md"


def one(name: str) -> Iterator[str]:
    found = [(section, _entry(section, name)) for section in SECTIONS if name == "python" or name in kinds(section)]
    if not found:
        known = [*dict.fromkeys(each for section in SECTIONS for each in kinds(section)), "python"]
        raise BadInput(f"list: there is no kind '{name[:80]}'; expected one of {', '.join(known)}{meant(name, known)}")
    for section, entry in found:
        yield from _described(section, name, entry)


def _entry(section: Section, name: str) -> Entry:
    own = Entry("", PYTHON[section], about="a class of your own: see README.md", offers=None)
    return own if name == "python" else kinds(section)[name]


def _described(section: Section, name: str, entry: Entry) -> Iterator[str]:
    paradigm = f", {entry.paradigm}" if entry.paradigm else ""
    yield f"{name} ({section.removesuffix('s')}{paradigm}): {entry.about}"
    facts = {"for": entry.modalities, "asked in": entry.asks if section == "retrievers" else ()}
    facts |= {"needs": entry.needs, "offers": entry.offers or ()}
    for words, values in facts.items():
        if values and name != "python":
            yield f"  {words} {', '.join(values)}"
    for need, wanted in entry.settings.model_construct().wants().items():
        own = marked(shapes(entry.settings).get(need, {}), "section")
        able = " or ".join(offering(own or INSTRUMENTS[need], wanted))
        yield f"  its {need} must offer {wanted}: kind {able}"
    for reason in filter(None, [entry.missing(), f"get {entry.obtain}" if entry.obtain else None]):
        yield f"  {reason}"
    for key, field in entry.settings.model_fields.items():
        sentence = f" ({field.description})" if field.description else ""
        yield f"    {key}: {described(shapes(entry.settings)[key])}; {_default(field.default)}{sentence}"


def _default(value: Any) -> str:
    """As it would be written in a suite."""
    if value is PydanticUndefined:
        return "required"
    return "may be left out" if value is None else f"default {json.dumps(value, default=str)}"

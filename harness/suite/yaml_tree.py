"""Values that know their line, built from YAML events; every surprise is refused in a sentence. For `yaml_source`.

The events are taken one at a time, so that nesting, aliases that multiply and references to themselves are stopped
while they are read. No tag is ever looked at: nothing in a file can call code. Plain scalars follow YAML 1.2: `on`,
`yes` and `1:30` are text, `true` and `null` are not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from harness.contract.problems import Problems, meant

MOST_NODES = 10_000
MOST_LEVELS = 50
MOST_DIGITS = 1000
LONGEST_KEY = 200

# What YAML lets stand in a file; the rest are control characters, halves of characters and non-characters.
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True)
class Node:
    value: bool | int | float | str | list[Node] | dict[str, Node] | None
    line: int  # where it starts; a mapping's value: where its key stands
    text: str | None = None  # scalars: as written, so that `kind: null` can mean the kind called null
    broken: bool = False  # it, or something below it, has been complained of: don't complain again

    @property
    def plain(self) -> Any:
        if isinstance(self.value, list):
            return [member.plain for member in self.value]
        if isinstance(self.value, dict):
            return {key: member.plain for key, member in self.value.items()}
        return self.value

    def levels(self) -> Iterator[int]:
        """For itself and every key and value below it: how many lists and mappings are around it, itself included."""
        if not isinstance(self.value, list | dict):
            yield 0
            return
        yield from [1] * (1 + len(self.value) * isinstance(self.value, dict))
        for member in self.value.values() if isinstance(self.value, dict) else self.value:
            yield from (1 + level for level in member.levels())


class Tree:
    """Takes the events of one file; `build` gives the root, None for an empty file."""

    def __init__(self, events: Iterator[Any], problems: Problems) -> None:
        self.events = events
        self.problems = problems
        self.anchors: dict[str, Node | None] = {}  # None: its end hasn't been read yet
        self.size = 0

    def build(self) -> Node | None:
        root = None
        for event in self.events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                if root:
                    raise self.problems.fail(
                        line, "a second document (`---`); expected one suite a file; give it a file of its own"
                    )
                root = self._node(next(self.events), 0)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        """What begins with this event, inside so many lists and mappings."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), line, depth)
        self.anchors |= {event.anchor: None} if event.anchor else {}
        if isinstance(event, yaml.ScalarEvent):
            self._count(line, depth)
            node = self._scalar(event, line)
        else:
            self._count(line, depth + 1)
            broken = self._tagged(event, line)
            inside = self._until_end()
            if isinstance(event, yaml.SequenceStartEvent):
                members = [self._node(each, depth + 1) for each in inside]
                node = Node(members, line, None, broken or any(member.broken for member in members))
            else:
                node = self._mapping(inside, line, depth + 1, broken)
        self.anchors |= {event.anchor: node} if event.anchor else {}
        return node

    def _until_end(self) -> Iterator[Any]:
        for event in self.events:
            if isinstance(event, yaml.CollectionEndEvent):
                return
            yield event

    def _count(self, line: int, depth: int) -> None:
        self.size += 1
        if self.size > MOST_NODES:
            raise self.problems.fail(
                line,
                f"more than {MOST_NODES:,} values so far, aliases (`*name`) counted as often as they are used; "
                "expected a suite of some hundred lines; split it, or use fewer aliases",
            )
        if depth > MOST_LEVELS:
            raise self.problems.fail(
                line, f"lists and mappings nested deeper than {MOST_LEVELS} levels; expected a few; close some brackets"
            )

    def _tagged(self, event: Any, line: int) -> bool:
        if event.tag is None:
            return False
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")[:80]
        self.problems.add(line, f"the tag {tag!r}; expected plain values; remove the tag")
        return True

    def _scalar(self, event: Any, line: int) -> Node:
        text = event.value
        if self._tagged(event, line):
            return Node(None, line, text, broken=True)
        odd = UNPRINTABLE.search(text)
        try:
            if odd:
                raise ValueError(f"the escaped character U+{ord(odd[0]):04X}; expected text; remove it")
            return Node(_value(text) if event.implicit[0] else text, line, text)  # else quoted, or a block of text
        except ValueError as error:
            self.problems.add(line, str(error))
            return Node(None, line, text, broken=True)

    def _alias(self, anchor: str, line: int, depth: int) -> Node:
        node = self.anchors.get(anchor)
        for level in node.levels() if node else [0]:
            self._count(line, depth + level)
        if node:
            return replace(node, line=line)
        wrong = f"*{anchor[:80]} stands inside what it names: a cycle; expected an end; write the value out"
        if anchor not in self.anchors:
            wrong = (
                f"*{anchor[:80]} names nothing; expected `&{anchor[:80]}` before it; put text that begins with * in "
                f"quotes{meant(anchor, self.anchors)}"
            )
        self.problems.add(line, wrong)
        return Node(None, line, f"*{anchor}", broken=True)

    def _mapping(self, inside: Iterator[Any], line: int, depth: int, broken: bool) -> Node:
        """Keys are names, read as they are written: `null: …` is a key called null."""
        members: dict[str, Node] = {}
        for event in inside:
            key = self._node(event, depth)
            wrong = None if key.broken else _objection(key, members)
            if wrong:
                self.problems.add(key.line, wrong)
            value = self._node(next(inside), depth)
            if wrong is None and key.text is not None and not key.broken:
                members[key.text] = replace(value, line=key.line)
            broken = broken or key.broken or wrong is not None or value.broken
        return Node(members, line, None, broken)


def _objection(key: Node, others: Mapping[str, Node]) -> str | None:
    """What is wrong with it as a key beside others."""
    if key.text is None:
        return "a list or mapping as a key; expected a name; put it behind the `:`"
    if key.text == "<<" and key.value == "<<":
        return "a merge key `<<`; expected names; write the keys out"
    if len(key.text) > LONGEST_KEY:
        return f"a key of {len(key.text):,} characters; expected a name; is a `: ` misplaced on this line?"
    if key.text in others:
        return (
            f"the key '{key.text}' again; expected each key once, and line {others[key.text].line} has it; rename or "
            "remove one"
        )
    return None


def _value(text: str) -> bool | int | float | str | None:
    """A plain scalar by the rules of YAML 1.2, numbers without an end refused."""
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        if len(text) > MOST_DIGITS:
            raise ValueError(f"a number of {len(text):,} digits; expected less than 2**63; write a smaller one")
        return int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)
    if FLOAT.fullmatch(text):
        number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if not math.isfinite(number):
            raise ValueError(f"{text[:40]} is no finite number; expected at most 1.7e308; write a smaller number")
        return number
    return text

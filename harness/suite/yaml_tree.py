"""Values that know their line, built from YAML events; every surprise is refused in a sentence. For `yaml_source`.

The events are taken one at a time and without recursion, so that nesting, aliases that multiply and references to
themselves are stopped while they are read. No tag is ever looked at: nothing in a file can call code. Plain scalars
follow YAML 1.2: `on`, `yes` and `1:30` are text, `true` and `null` are not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
    size: int = 1  # itself and all below it, aliases counted as often as they are used
    depth: int = 1
    broken: bool = False  # it, or something below it, has been complained of: don't complain again

    @property
    def plain(self) -> Any:
        if isinstance(self.value, list):
            return [member.plain for member in self.value]
        if isinstance(self.value, dict):
            return {key: member.plain for key, member in self.value.items()}
        return self.value


@dataclass
class _Open:
    """A list or mapping whose end hasn't been read yet."""

    line: int
    anchor: str | None
    value: list[Node] | dict[str, Node]
    key: tuple[str | None, int] | None = None  # what waits for its value; the key None was complained of
    size: int = 1
    depth: int = 1
    broken: bool = False


@dataclass
class Tree:
    """Takes the events of one file; `build` gives the root, None for an empty file."""

    problems: Problems
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, Node | None] = field(default_factory=dict)  # None: its end hasn't been read yet
    root: Node | None = None
    size: int = 0
    documents: int = 0

    def build(self, events: Iterable[Any]) -> Node | None:
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    raise self.problems.fail(
                        line, "a second document (`---`); expected one suite a file; give it a file of its own"
                    )
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                self._start(event, line)
            elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                done = self.open.pop()
                self._put(Node(done.value, done.line, None, done.size, done.depth, done.broken), done.anchor)
            elif isinstance(event, yaml.ScalarEvent):
                self._count(1, line)
                self._put(self._scalar(event, line), event.anchor)
            elif isinstance(event, yaml.AliasEvent):
                self._put(self._alias(str(event.anchor), line), None)
        return self.root

    def _count(self, more: int, line: int) -> None:
        self.size += more
        if self.size > MOST_NODES:
            raise self.problems.fail(
                line,
                f"more than {MOST_NODES:,} values so far, aliases (`*name`) counted as often as they are used; "
                "expected a suite of some hundred lines; split it, or use fewer aliases",
            )

    def _deepen(self, levels: int, line: int) -> None:
        if len(self.open) + levels > MOST_LEVELS:
            raise self.problems.fail(
                line, f"lists and mappings nested deeper than {MOST_LEVELS} levels; expected a few; close some brackets"
            )

    def _start(self, event: Any, line: int) -> None:
        self._count(1, line)
        self._deepen(1, line)
        if event.anchor:
            self.anchors[event.anchor] = None
        value: list[Node] | dict[str, Node] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.open.append(_Open(line, event.anchor, value, broken=self._tagged(event, line)))

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
        if odd:
            self.problems.add(line, f"the escaped character U+{ord(odd[0]):04X}; expected text; remove it")
            return Node(None, line, text, broken=True)
        if not event.implicit[0]:  # quoted, or a block of text
            return Node(text, line, text)
        try:
            return Node(_value(text), line, text)
        except ValueError as error:
            self.problems.add(line, str(error))
            return Node(None, line, text, broken=True)

    def _alias(self, anchor: str, line: int) -> Node:
        node = self.anchors.get(anchor)
        if node is None:
            self._count(1, line)
            if anchor in self.anchors:
                self.problems.add(
                    line, f"*{anchor[:80]} stands inside what it names: a cycle; expected an end; write the value out"
                )
            else:
                self.problems.add(
                    line,
                    f"*{anchor[:80]} names nothing; expected `&{anchor[:80]}` before it; put text that begins "
                    f"with * in quotes{meant(anchor, self.anchors)}",
                )
            return Node(None, line, f"*{anchor}", broken=True)
        self._count(node.size, line)
        self._deepen(node.depth - 1, line)
        return replace(node, line=line)

    def _put(self, node: Node, anchor: str | None) -> None:
        """Hand a finished node to what is open around it: as a member, as a key, or as a key's value."""
        if anchor:
            self.anchors[anchor] = node
        if not self.open:
            self.root = node
            return
        around = self.open[-1]
        around.size += node.size
        around.depth = max(around.depth, node.depth + 1)
        around.broken = around.broken or node.broken
        if isinstance(around.value, list):
            around.value.append(node)
        elif around.key is None:
            around.key = self._key(node, around, around.value)
        else:
            key, line = around.key
            if key is not None:
                around.value[key] = replace(node, line=line)
            around.key = None

    def _key(self, node: Node, around: _Open, others: dict[str, Node]) -> tuple[str | None, int]:
        """Keys are names, read as they are written: `null: …` is a key called null."""
        if node.broken:
            pass
        elif node.text is None:
            self.problems.add(node.line, "a list or mapping as a key; expected a name; put it behind the `:`")
        elif node.text == "<<" and node.value == "<<":
            self.problems.add(node.line, "a merge key `<<`; expected names; write the keys out")
        elif len(node.text) > LONGEST_KEY:
            self.problems.add(
                node.line, f"a key of {len(node.text):,} characters; expected a name; is a `: ` misplaced on this line?"
            )
        elif node.text in others:
            self.problems.add(
                node.line,
                f"the key '{node.text}' again; expected each key once, and line {others[node.text].line} has it; "
                "rename or remove one",
            )
        else:
            return node.text, node.line
        around.broken = True
        return None, node.line


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

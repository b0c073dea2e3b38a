"""Checks a mapping of the suite against a table of `Argument`s and says what is wrong in our own words."""

from __future__ import annotations

import collections.abc
import copy
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from harness.contract.problems import Problems, meant
from harness.suite.registry import REQUIRED, Argument, Section
from harness.suite.yaml_tree import Node

REFERENCES: Mapping[Any, Section] = {
    "dataset": "datasets",
    "encoder": "encoders",
    "captioner": "captioners",
    "retriever": "retrievers",
}
WRONG: Any = object()  # stands for a value that has been complained of
Refer = Callable[[Section, Node, str], Any]


def section_of(kind: Any) -> Section | None:
    """The section that an argument of this type refers to; None for plain values."""
    return REFERENCES.get(kind) if isinstance(kind, str) else None


def fields(
    node: Node,
    table: Mapping[str, Argument],
    where: str,
    problems: Problems,
    refer: Refer,
    ignore: tuple[str, ...] = (),
) -> dict[str, Any] | None:
    """The mapping's values by name, defaults filled in; None when something is wrong. `where` is "" or ends in "."."""
    given = mapping(node, where.rstrip("."), problems)
    if given is None:
        return None
    right = not node.broken
    for key, value in given.items():
        if key not in table and key not in ignore:
            known = ", ".join([*ignore, *table]) or "no keys"
            problems.add(
                value.line, f"unknown key {where}{key[:80]}; expected {known}; correct or remove it{meant(key, table)}"
            )
            right = False
    values = {}
    for key, argument in table.items():
        section = section_of(argument.type)
        if key not in given:
            if argument.default is REQUIRED:
                problems.add(
                    node.line,
                    f"{where}{key} is missing; expected {expected(argument)}; write for instance "
                    f"`{key}: {_example(argument)}`",
                )
            values[key] = WRONG if argument.default is REQUIRED else copy.deepcopy(argument.default)
            if section and isinstance(argument.default, str):
                kind = Node(argument.default, node.line, argument.default)
                values[key] = refer(section, Node({"kind": kind}, node.line), f"{where}{key}")
        elif given[key].value is None and not given[key].broken and argument.default is None:
            values[key] = None
        elif section:
            values[key] = refer(section, given[key], f"{where}{key}")
        else:
            values[key] = _checked(given[key], argument, f"{where}{key}", key, problems)
    return values if right and not any(value is WRONG for value in values.values()) else None


def mapping(node: Node, where: str, problems: Problems) -> dict[str, Node] | None:
    """The members of a mapping; nothing written after the `:` is an empty one."""
    if isinstance(node.value, dict):
        return node.value
    if node.value is None and not node.broken:
        return {}
    if not node.broken:
        key = where.rpartition(".")[2]
        example = "{kind: …}" if where.partition(".")[0] in REFERENCES.values() else "{key: value}"
        problems.add(node.line, f"{where} is {found(node)}; expected a mapping; write for instance `{key}: {example}`")
    return None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _checked(node: Node, argument: Argument, where: str, key: str, problems: Problems) -> Any:
    """The value as the type wants it. By way of JSON, where a list may become a tuple but no text a number."""
    if node.broken:
        return WRONG
    right = True
    for part, path in _numbers(node, where):
        if not _within(part.value, argument):
            _complain(part, argument, _leaf(argument.type), path, key, problems)
            right = False
    try:
        value = _adapter(argument.type).validate_json(json.dumps(node.plain), strict=True)
    except ValidationError as error:
        for wrong in error.errors(include_url=False, include_context=False, include_input=False):
            kind, part, path = argument.type, node, where
            for step in wrong["loc"]:
                below = _below(part, step)
                if below is None:
                    break
                path += f"[{step}]" if isinstance(step, int) else f".{step}"
                kind, part = _member(kind), below
            _complain(part, argument, kind, path, key, problems)
        return WRONG
    except (PydanticUserError, TypeError) as error:
        problems.add(
            node.line,
            f"{where} can't be checked: its kind declares {argument.type!r} ({error}); tell the kind's author",
        )
        return WRONG
    return value if right else WRONG


def _complain(node: Node, argument: Argument, kind: Any, where: str, key: str, problems: Problems) -> None:
    hint = f"write for instance `{key}: {_example(argument)}`"
    if typing.get_origin(kind) is Literal:
        hint = f"choose one of them{meant(str(node.text), map(str, typing.get_args(kind)))}"
    elif (
        isinstance(node.value, str) and kind in (int, float, bool) and node.value.strip('"').replace(".", "").isdigit()
    ):
        hint = "remove the quotes"
    elif kind is str and node.text:
        hint = f"put it in quotes: '{node.text[:40]}'"
    problems.add(node.line, f"{where} is {found(node)}; expected {_described(kind, argument)}; {hint}")


def _below(node: Node, step: int | str) -> Node | None:
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return node.value.get(str(step)) if isinstance(node.value, dict) else None


def _numbers(node: Node, where: str) -> list[tuple[Node, str]]:
    """Every number in a value, with the path that leads to it."""
    if isinstance(node.value, list):
        return [pair for index, part in enumerate(node.value) for pair in _numbers(part, f"{where}[{index}]")]
    if isinstance(node.value, dict):
        return [pair for key, part in node.value.items() for pair in _numbers(part, f"{where}.{key}")]
    return [(node, where)] if isinstance(node.value, int | float) and not isinstance(node.value, bool) else []


def _within(value: Any, argument: Argument) -> bool:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return False
    if not math.isfinite(value):
        return False
    return (
        (argument.above is None or value > argument.above)
        and (argument.at_least is None or value >= argument.at_least)
        and (argument.at_most is None or value <= argument.at_most)
    )


def takes_list(kind: Any) -> bool:
    """Whether a list is a value of this type, not a list of variants."""
    origin = typing.get_origin(kind) or kind
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        return any(takes_list(member) for member in typing.get_args(kind))
    lists = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable, Any, object)
    return origin in lists


def _member(kind: Any) -> Any:
    """The type of a list's or mapping's members."""
    members = [member for member in typing.get_args(kind) if member is not ...]
    if typing.get_origin(kind) is Literal or not members:
        return kind
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return next((_member(member) for member in members if typing.get_args(member)), kind)
    return members[-1]


def _leaf(kind: Any) -> Any:
    return kind if _member(kind) is kind else _leaf(_member(kind))


def found(node: Node) -> str:
    if isinstance(node.value, list | dict):
        return "a list" if isinstance(node.value, list) else "a mapping"
    text = str(node.text)
    if isinstance(node.value, str):
        return repr(text if len(text) <= 60 else f"{text[:57]}…")
    if isinstance(node.value, int) and len(text) > 40:
        return f"{text[:6]}… ({len(text)} digits)"
    return text[:60] or "nothing"


def expected(argument: Argument) -> str:
    return _described(argument.type, argument)


def _described(kind: Any, argument: Argument) -> str:
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return "anything"
    if section := section_of(kind):
        return f"the name of one of the {section}, or {{kind: …}}"
    if origin is Literal:
        return f"one of {', '.join(map(repr, members))}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_described(member, argument) for member in members if member is not type(None))
    if origin is dict or kind is dict:
        return f"`name: value` pairs, each value {_described(members[1], argument) if members else 'anything'}"
    if takes_list(kind):
        return f"a list, each member {_described(_member(kind), argument) if members else 'anything'}"
    names = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        Path: "a path or a hub id" if argument.hub else "a path",
    }
    name = str(names.get(kind) or getattr(kind, "__name__", kind))
    return name + _range(argument) if kind in (int, float) else name


def _range(argument: Argument) -> str:
    low, high, above = argument.at_least, argument.at_most, argument.above
    if low is not None and high is not None:
        return f" from {low:,} to {high:,}"
    bounds = {"above": above, "at least": low, "at most": high}
    parts = [f"{word} {bound:,}" for word, bound in bounds.items() if bound is not None]
    return f" {' and '.join(parts)}" if parts else ""


def _example(argument: Argument) -> str:
    if argument.default not in (REQUIRED, None, {}, []):
        return json.dumps(argument.default)
    origin = typing.get_origin(argument.type) or argument.type
    leaf = _leaf_example(argument)
    return f"{{name: {leaf}}}" if origin is dict else f"[{leaf}]" if takes_list(origin) else leaf


def _leaf_example(argument: Argument) -> str:
    kind = _leaf(argument.type)
    if section_of(argument.type):
        return "NAME"
    if typing.get_origin(kind) is Literal:
        return str(typing.get_args(kind)[0])
    if kind in (int, float):
        return str(argument.at_least if argument.at_least is not None else (argument.above or 0) + 1)
    if kind is bool:
        return "true"
    return "text" if kind is str else "…"

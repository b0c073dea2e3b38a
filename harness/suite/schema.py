"""Checks a mapping of the suite against a class of settings and says what is wrong in our own words."""

from __future__ import annotations

import collections.abc
import json
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from harness.contract.problems import Problems, meant
from harness.contract.settings import HUB, SECTIONS, Conflict, Names, Section, Settings
from harness.suite.yaml_tree import Node

WRONG: Any = object()  # stands for a value that has been complained of
Refer = Callable[[Section, Node, str], Any]


def fields(
    node: Node, model: type[Settings], where: str, problems: Problems, refer: Refer, ignore: tuple[str, ...] = ()
) -> dict[str, Any] | None:
    """The mapping's values by name, defaults filled in; None when something is wrong. `where` is "" or ends in "."."""
    given = mapping(node, where.rstrip("."), problems)
    if given is None:
        return None
    for key, value in given.items():
        if key not in model.model_fields and key not in ignore:
            known = ", ".join([*ignore, *model.model_fields]) or "no keys"
            problems.add(
                value.line,
                f"unknown key {where}{key[:80]}; expected {known}; correct or remove "
                f"it{meant(key, model.model_fields)}",
            )
    right = not node.broken and all(key in model.model_fields or key in ignore for key in given)
    references: dict[str, Any] = {}
    plain = {key: part.plain for key, part in given.items() if key in model.model_fields and not part.broken}
    for key, field in model.model_fields.items():
        section, part = section_of(kind(field)), given.get(key)
        if part is None and isinstance(field.default, str):  # a kind
            part = Node({"kind": Node(field.default, node.line, field.default)}, node.line)
        if section and part is not None and not (part.value is None and not part.broken and field.default is None):
            references[key], plain[key] = refer(section, part, f"{where}{key}"), "named"
    try:
        checked = model.model_validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        for wrong in error.errors(include_url=False, include_input=False):
            if wrong["loc"] == () or not (wrong["loc"][0] in given and given[str(wrong["loc"][0])].broken):
                _complain(wrong, model, node, given, where, problems)
        return None
    if not right or any(value is WRONG for value in references.values()):
        return None
    return {key: getattr(checked, key) for key in model.model_fields} | references


def mapping(node: Node, where: str, problems: Problems) -> dict[str, Node] | None:
    """The members of a mapping; nothing written after the `:` is an empty one."""
    if isinstance(node.value, dict):
        return node.value
    if node.value is None and not node.broken:
        return {}
    if not node.broken:
        key = where.rpartition(".")[2]
        example = "{kind: …}" if where.partition(".")[0] in SECTIONS else "{key: value}"
        problems.add(node.line, f"{where} is {found(node)}; expected a mapping; write for instance `{key}: {example}`")
    return None


def _complain(
    wrong: Any, model: type[Settings], node: Node, given: Mapping[str, Node], where: str, problems: Problems
) -> None:
    """What one of pydantic's errors means."""
    conflict = wrong.get("ctx", {}).get("error")
    if isinstance(conflict, ValueError):
        key = conflict.key if isinstance(conflict, Conflict) else ""
        line = given[key].line if key in given else node.line
        problems.add(line, f"{where.rstrip('.')}: {conflict}" if where else str(conflict))
        return
    key, *steps = map(str, wrong["loc"])
    field = model.model_fields[key]
    if key not in given:
        problems.add(
            node.line,
            f"{where}{key} is missing; expected {described(kind(field))}; write for instance `{key}: "
            f"{_example(field)}`",
        )
        return
    path, part, wanted = f"{where}{key}", given[key], kind(field)
    for step in steps:
        below = _below(part, step)
        if below is None:
            break
        path += f"[{step}]" if isinstance(part.value, list) else f".{step}"
        part, wanted = below, _member(wanted)
    base, _ = opened(wanted)
    hint = f"write for instance `{key}: {_example(field)}`"
    if typing.get_origin(base) is Literal:
        hint = f"choose one of them{meant(str(part.text), map(str, typing.get_args(base)))}"
    elif (
        isinstance(part.value, str) and base in (int, float, bool) and part.value.strip('"').replace(".", "").isdigit()
    ):
        hint = "remove the quotes"
    elif base is str and part.text:
        hint = f"put it in quotes: '{part.text[:40]}'"
    problems.add(part.line, f"{path} is {found(part)}; expected {described(wanted)}; {hint}")


def _below(node: Node, step: str) -> Node | None:
    if isinstance(node.value, list):
        return node.value[int(step)] if step.isdigit() and int(step) < len(node.value) else None
    return node.value.get(step) if isinstance(node.value, dict) else None


def found(node: Node) -> str:
    if isinstance(node.value, list | dict):
        return "a list" if isinstance(node.value, list) else "a mapping"
    text = str(node.text)
    if isinstance(node.value, str):
        return repr(text if len(text) <= 60 else f"{text[:57]}…")
    if isinstance(node.value, int) and len(text) > 40:
        return f"{text[:6]}… ({len(text)} digits)"
    return text[:60] or "nothing"


# -- types in words ---------------------------------------------------------------------------------------------------


def kind(field: FieldInfo) -> Any:
    """A field's type with its bounds."""
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def opened(wanted: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type, and its bounds and marks."""
    if typing.get_origin(wanted) is not Annotated:
        return wanted, ()
    base, *marks = typing.get_args(wanted)
    inner, more = opened(base)
    return inner, (
        *more,
        *(each for mark in marks for each in (mark.metadata if isinstance(mark, FieldInfo) else [mark])),
    )


def members(wanted: Any) -> list[Any]:
    """What a type is made of: the types of a union, of a list's members, of a mapping's values."""
    base, marks = opened(wanted)
    inner = [] if typing.get_origin(base) is Literal else [each for each in typing.get_args(base) if each is not ...]
    if typing.get_origin(base) in (typing.Union, types.UnionType):
        return [Annotated[(each, *marks)] if marks else each for each in inner if each is not type(None)]
    return inner[-1:]


def section_of(wanted: Any) -> Section | None:
    """The section that a field refers to; None for plain values."""
    named = [mark.section for mark in opened(wanted)[1] if isinstance(mark, Names)]
    return named[0] if named else next(filter(None, map(section_of, members(wanted))), None)


def is_hub(wanted: Any) -> bool:
    return HUB in opened(wanted)[1] or any(map(is_hub, members(wanted)))


def _union(wanted: Any) -> bool:
    return typing.get_origin(opened(wanted)[0]) in (typing.Union, types.UnionType)


def takes_list(wanted: Any) -> bool:
    """Whether a list is a value of this type, not a list of variants."""
    if _union(wanted):
        return any(map(takes_list, members(wanted)))
    base, _ = opened(wanted)
    lists = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable, Any, object)
    return (typing.get_origin(base) or base) in lists


def _member(wanted: Any) -> Any:
    """The type of a list's or mapping's members."""
    if _union(wanted):
        return next((_member(each) for each in members(wanted) if members(each)), wanted)
    return (members(wanted) or [wanted])[0]


def described(wanted: Any) -> str:
    base, marks = opened(wanted)
    inner = members(wanted)
    if section := section_of(wanted):
        return f"the name of one of the {section}, or {{kind: …}}"
    if base is Any:
        return "anything"
    if typing.get_origin(base) is Literal:
        return f"one of {', '.join(map(repr, typing.get_args(base)))}"
    if _union(wanted):
        return " or ".join(map(described, inner))
    each = described(inner[0]) if inner else "anything"
    if (typing.get_origin(base) or base) is dict:
        return f"`name: value` pairs, each value {each}"
    if takes_list(base):
        return f"a list, each member {each}"
    if base is Path:
        return HUB if HUB in marks else "a path"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return str(names.get(base) or getattr(base, "__name__", base)) + _range(marks)


def _range(marks: tuple[Any, ...]) -> str:
    bounds = {name: getattr(mark, name, None) for mark in marks for name in ("ge", "gt", "le") if hasattr(mark, name)}
    low, above, high = (bounds.get(name) if abs(bounds.get(name) or 0) < 2**62 else None for name in ("ge", "gt", "le"))
    if low is not None and high is not None:
        return f" from {low:,} to {high:,}"
    words = {"above": above, "at least": low, "at most": high}
    parts = [f"{word} {bound:,}" for word, bound in words.items() if bound is not None]
    return f" {' and '.join(parts)}" if parts else ""


def _example(field: FieldInfo) -> str:
    if field.default not in (PydanticUndefined, None, {}, [], ()):
        return json.dumps(field.default)
    wanted = kind(field)
    leaf = wanted
    while (inner := _member(leaf)) is not leaf:
        leaf = inner
    base, marks = opened(leaf)
    low = [
        mark.ge if hasattr(mark, "ge") else mark.gt + 1 for mark in marks if hasattr(mark, "ge") or hasattr(mark, "gt")
    ]
    number = str(low[0] if low and abs(low[0]) < 2**62 else 1)
    if section_of(wanted):
        example = "NAME"
    elif typing.get_origin(base) is Literal:
        example = str(typing.get_args(base)[0])
    else:
        example = {int: number, float: number, bool: "true", str: "text"}.get(base, "…")
    whole = opened(wanted)[0]
    if (typing.get_origin(whole) or whole) is dict:
        return f"{{name: {example}}}"
    return f"[{example}]" if takes_list(whole) and not _union(whole) else example

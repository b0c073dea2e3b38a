"""Checks a mapping of the suite against a class of settings and says what is wrong in our own words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema

from harness.contract.problems import Problems, meant
from harness.contract.settings import HUB, SECTIONS, Conflict, Section, Settings
from harness.suite.yaml_tree import Node

WRONG: Any = object()  # stands for a value that has been complained of
Refer = Callable[[Section, Node, str], Any]
Shape = Mapping[str, Any]


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
        section, part = marked(shapes(model)[key], "section"), given.get(key)
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
    path, wanted = f"{where}{key}", shapes(model)[key]
    hint = f"write for instance `{key}: {_example(wanted)}`"
    if key not in given:
        problems.add(node.line, f"{path} is missing; expected {described(wanted)}; {hint}")
        return
    part = given[key]
    for step in steps:
        below = _below(part, step)
        if below is None:
            break
        path += f"[{step}]" if isinstance(part.value, list) else f".{step}"
        part, wanted = below, member(wanted)
    number = isinstance(part.value, str) and part.value.strip('"').replace(".", "").isdigit()
    if _choices(wanted):
        hint = f"choose one of them{meant(str(part.text), map(str, _choices(wanted)))}"
    elif number and wanted.get("type") in ("integer", "number", "boolean"):
        hint = "remove the quotes"
    elif wanted.get("type") == "string" and "format" not in wanted and part.text:
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


# -- types in words: fields as JSON schema has them --------------------------------------------------------------------


class _Lenient(GenerateJsonSchema):
    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
        return {}  # a type of another package's settings that JSON has no word for


@cache
def shapes(model: type[Settings]) -> Mapping[str, Shape]:
    known: Mapping[str, Shape] = model.model_json_schema(schema_generator=_Lenient).get("properties", {})
    return known


def _parts(shape: Shape) -> list[Shape]:
    """What a type is made of: the types of a union, of a list's members, of a mapping's values."""
    inner = shape.get("anyOf") or [shape[key] for key in ("items", "additionalProperties") if key in shape]
    return [{} if each is True else each for each in inner if each != {"type": "null"}]


def member(shape: Shape) -> Shape:
    """The type of a list's or mapping's members; where it has none, itself."""
    if "anyOf" in shape:
        return next((member(each) for each in _parts(shape) if _parts(each)), shape)
    return (_parts(shape) or [shape])[0]


def marked(shape: Shape, mark: str) -> Any:
    """The `section` that a field refers to, or whether it may be the id of something on a `hub`."""
    return shape.get(mark) or next(filter(None, (marked(each, mark) for each in _parts(shape))), None)


def takes_list(shape: Shape) -> bool:
    """Whether a list is a value of this type, not a list of variants."""
    if "anyOf" in shape:
        return any(map(takes_list, _parts(shape)))
    return shape.get("type") == "array" or not {"type", "enum", "$ref"} & set(shape)


def _choices(shape: Shape) -> list[Any]:
    return shape.get("enum") or [shape[key] for key in ("const",) if key in shape]


def described(shape: Shape) -> str:
    if section := marked(shape, "section"):
        return f"the name of one of the {section}, or {{kind: …}}"
    if "anyOf" in shape:
        return " or ".join(map(described, _parts(shape)))
    if _choices(shape):
        return f"one of {', '.join(map(repr, _choices(shape)))}"
    if shape.get("format") == "path":
        return HUB if shape.get("hub") else "a path"
    each = described(member(shape)) if _parts(shape) else "anything"
    names = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
    names |= {"object": f"`name: value` pairs, each value {each}", "array": f"a list, each member {each}"}
    own = shape.get("format") or shape.get("$ref", "").rpartition("/")[2]  # a date; an enum's name
    return str(own or names.get(shape.get("type", ""), "anything")) + _range(shape)


def _range(shape: Shape) -> str:
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most"}
    bounds = {key: f"{shape[key]:,}" for key in words if key in shape and abs(shape[key]) < 2**62}
    if {"minimum", "maximum"} <= set(bounds):
        return f" from {bounds['minimum']} to {bounds['maximum']}"
    parts = [f"{words[key]} {bound}" for key, bound in bounds.items()]
    return f" {' and '.join(parts)}" if parts else ""


def _example(shape: Shape) -> str:
    if shape.get("default") not in (None, {}, []):
        return json.dumps(shape["default"])
    leaf = shape
    while (inner := member(leaf)) is not leaf:
        leaf = inner
    low = leaf.get("minimum", leaf.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in leaf))
    number = str(low if ("minimum" in leaf or "exclusiveMinimum" in leaf) and abs(low) < 2**62 else 1)
    words = {"integer": number, "number": number, "boolean": "true", "string": "text"}
    example = "NAME" if marked(shape, "section") else "…" if "format" in leaf else words.get(leaf.get("type", ""), "…")
    example = str(next(iter(_choices(leaf)), example))
    return {"object": f"{{name: {example}}}", "array": f"[{example}]"}.get(shape.get("type", ""), example)

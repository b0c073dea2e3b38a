"""A list in place of a value makes a variant of the retriever for each member: `dual-hnsw@efSearch=16`, …"""

from __future__ import annotations

import itertools
import math
import re
import typing
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from harness.contract.problems import Problems
from harness.contract.settings import Settings
from harness.suite.schema import kind, members, opened, takes_list
from harness.suite.yaml_tree import Node

MOST_VARIANTS = 1000  # of all retrievers of a suite together
LONGEST_NAME = 100  # with the task's name and an ending it must fit into the 255 bytes that a file's name may have


class Variant(NamedTuple):
    name: str
    base: str
    node: Node


class Axis(NamedTuple):
    path: tuple[str, ...]
    options: list[Node]


def expand(base: str, node: Node, model: type[Settings], room: int, problems: Problems) -> list[Variant]:
    """All variants of one retriever, in the order of its keys; `room` is how many more the suite may have."""
    axes = list(_axes(node, model))
    for axis in axes:
        if not axis.options:
            problems.add(
                node.line,
                f"retrievers.{base}.{'.'.join(axis.path)} is an empty list; expected a value, or a list with a member "
                "for each variant; write at least one",
            )
            return []
    count = math.prod(len(axis.options) for axis in axes)
    if count > room:
        problems.add(
            node.line,
            f"the lists of retrievers.{base} make {count:,} variants; expected at most {MOST_VARIANTS:,} in a suite; "
            "shorten the lists",
        )
        return []
    variants: list[Variant] = []
    taken: set[str] = set()
    keys = _keys(axes)
    for options in itertools.product(*(list(enumerate(axis.options, 1)) for axis in axes)):
        chosen, name = node, base
        for axis, key, (number, option) in zip(axes, keys, options, strict=True):
            chosen = _with(chosen, axis.path, option)
            name += f"@{key}={_label(option, number)}"
        name = _unique(name[:LONGEST_NAME], taken)
        taken.add(name.casefold())
        variants.append(Variant(name, base, chosen))
    return variants


def _axes(node: Node, model: type[Settings]) -> Iterator[Axis]:
    if isinstance(node.value, dict):
        for key, member in node.value.items():
            if key in model.model_fields and not member.broken:
                yield from _within((key,), member, kind(model.model_fields[key]))


def _within(path: tuple[str, ...], node: Node, wanted: Any) -> Iterator[Axis]:
    if isinstance(node.value, list) and not takes_list(wanted):
        yield Axis(path, node.value)
    elif isinstance(node.value, dict) and typing.get_origin(opened(wanted)[0]) is dict:
        for key, member in node.value.items():
            yield from _within((*path, key), member, members(wanted)[0])


def _keys(axes: list[Axis]) -> list[str]:
    """What the axes are called: their last key, or all of them where that is ambiguous."""
    last = [axis.path[-1] for axis in axes]
    return [_safe(axis.path[-1] if last.count(axis.path[-1]) == 1 else ".".join(axis.path)) for axis in axes]


def _with(node: Node, path: tuple[str, ...], option: Node) -> Node:
    if not path:
        return option
    assert isinstance(node.value, dict)
    return replace(node, value={**node.value, path[0]: _with(node.value[path[0]], path[1:], option)})


def _label(option: Node, number: int) -> str:
    text = option.text
    if isinstance(option.value, dict) and "kind" in option.value:
        text = option.value["kind"].text
    return _safe((text or str(number))[:40])


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_+.-]", "-", text)


def _unique(name: str, taken: set[str]) -> str:
    """Files may not differ in case alone: some systems would take them for one."""
    if name.casefold() not in taken:
        return name
    return next(new for number in itertools.count(2) if (new := f"{name}-{number}").casefold() not in taken)

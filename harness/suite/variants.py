"""A list in place of a value makes a variant of the retriever for each member: `dual-hnsw@efSearch=16`, …"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from harness.contract.problems import Problems
from harness.contract.settings import Settings
from harness.suite.schema import Shape, member, shapes, takes_list
from harness.suite.yaml_tree import Node

MOST_VARIANTS = 1000  # of all retrievers of a suite together
LONGEST_NAME = 100  # with the task's name and an ending it must fit into the 255 bytes that a file's name may have


class Axis(NamedTuple):
    path: tuple[str, ...]
    options: list[Node]


def expand(base: str, node: Node, model: type[Settings], room: int, problems: Problems) -> dict[str, Node]:
    """All variants of one retriever by name, in the order of its keys; `room` is how many more the suite may have."""
    given = node.value if isinstance(node.value, dict) else {}
    known = {key: shapes(model)[key] for key in given if key in shapes(model) and not given[key].broken}
    axes = [axis for key, wanted in known.items() for axis in _axes((key,), given[key], wanted)]
    count = math.prod(len(axis.options) for axis in axes)
    empty = next((".".join(axis.path) for axis in axes if not axis.options), None)
    if empty:
        problems.add(
            node.line,
            f"retrievers.{base}.{empty} is an empty list; expected a value, or a list with a member for each variant; "
            "write at least one",
        )
    elif count > room:
        problems.add(
            node.line,
            f"the lists of retrievers.{base} make {count:,} variants; expected at most {MOST_VARIANTS:,} in a suite; "
            "shorten the lists",
        )
    if empty or count > room:
        return {}
    variants: dict[str, Node] = {}
    last = [axis.path[-1] for axis in axes]
    keys = [axis.path[-1] if last.count(axis.path[-1]) == 1 else ".".join(axis.path) for axis in axes]
    for options in itertools.product(*(list(enumerate(axis.options, 1)) for axis in axes)):
        chosen, name = node, base
        for axis, key, (number, option) in zip(axes, keys, options, strict=True):
            chosen = _with(chosen, axis.path, option)
            name += f"@{_safe(key)}={_label(option, number)}"
        variants[_unique(name[:LONGEST_NAME], variants)] = chosen
    return variants


def _axes(path: tuple[str, ...], node: Node, wanted: Shape) -> Iterator[Axis]:
    if isinstance(node.value, list) and not takes_list(wanted):
        yield Axis(path, node.value)
    elif isinstance(node.value, dict) and wanted.get("type") == "object":
        for key, inner in node.value.items():
            yield from _axes((*path, key), inner, member(wanted))


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


def _unique(name: str, others: Iterable[str]) -> str:
    """Files may not differ in case alone: some systems would take them for one."""
    taken = {other.casefold() for other in others}
    endings = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    return next(name + ending for ending in endings if (name + ending).casefold() not in taken)

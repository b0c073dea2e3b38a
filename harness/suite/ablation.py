"""Ablations: a suite names a full system and what to change in it; each change becomes a retriever of its own.

ablation:
  cart:                                   # one of the retrievers
    no-fusion:  {fusion: last-layer}      # becomes cart-no-fusion
    no-k-means: {identifiers: residual}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.contract.problems import Problems, meant
from harness.suite.schema import found, mapping
from harness.suite.spec import RetrieverSpec
from harness.suite.yaml_tree import Node

Ablation = Mapping[str, tuple[str, ...]]  # a full system → the retrievers that differ from it by a change each


def apply(
    given: Mapping[str, Node], members: Mapping[str, Node], problems: Problems
) -> tuple[dict[str, Node], Ablation]:
    """The suite's retrievers, each full system followed by its changes; and which belong together."""
    ablation = mapping(given.get("ablation") or Node({}, 1), "ablation", problems) or {}
    for full, node in ablation.items():
        if full not in members:
            problems.add(
                node.line,
                f"ablation names '{full[:80]}', which is none of the retrievers; expected one of "
                f"{', '.join(members) or 'them (none is defined)'}; correct the name{meant(full, members)}",
            )
    together: dict[str, tuple[str, ...]] = {}
    every: dict[str, Node] = {}
    for name, node in members.items():
        every[name] = node
        if name in ablation:
            changed = _changed(name, node, ablation[name], members, problems)
            together[name] = tuple(changed)
            every |= changed
    return every, together


def named(
    together: Ablation, retrievers: Sequence[RetrieverSpec], members: Mapping[str, Node], problems: Problems
) -> Ablation:
    """The same by the retrievers' full names: a list in a change makes a variant for each member."""
    for full in together:
        if any(spec.base == full and spec.name != full for spec in retrievers):
            problems.add(
                members[full].line,
                f"ablation.{full} is of a retriever with variants; expected one full system; write the lists into its "
                "changes",
            )
    return {
        full: tuple(spec.name for change in changes for spec in retrievers if spec.base == change)
        for full, changes in together.items()
    }


def _changed(full: str, node: Node, wanted: Node, members: Mapping[str, Node], problems: Problems) -> dict[str, Node]:
    changed: dict[str, Node] = {}
    for change, keys in (mapping(wanted, f"ablation.{full}", problems) or {}).items():
        where, name = f"ablation.{full}.{change}", f"{full}-{change}"
        given = mapping(keys, where, problems)
        if given is None or not isinstance(node.value, dict):
            continue
        if not given or name in members:
            wrong = f"'{name}', which is a retriever already" if name in members else found(keys)
            problems.add(
                keys.line,
                f"{where} is {wrong}; expected settings of {full} that are to be other, under a name of their own; "
                "write for instance `{steps: 100}`",
            )
            continue
        changed[name] = replace(node, value={**node.value, **given}, line=keys.line)
    return changed

"""From a suite's YAML to its typed form, for `suite.load`: it complains once, of every problem of the file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from harness.contract.problems import Problems, meant
from harness.contract.settings import Conflict, Settings
from harness.suite import ablation
from harness.suite.components import Components, Seconds, keys_of
from harness.suite.registry import Section
from harness.suite.scenarios import SCENARIOS, USUAL
from harness.suite.schema import WRONG, fields, found, mapping
from harness.suite.spec import Component, RetrieverSpec, Suite
from harness.suite.tasks import check_instruments, tasks_of
from harness.suite.variants import MOST_VARIANTS, expand
from harness.suite.yaml_source import read
from harness.suite.yaml_tree import Node

MOST_CELLS = 100_000
LONGEST = 60  # characters of a name that becomes part of a file's name


class Keys(Settings):
    """What a suite may say. Only numbers and text are checked by their types; the rest has readers of its own."""

    name: Any = None
    about: str = ""
    compare_to: str = ""
    k: list[Annotated[int, Field(ge=1, le=10_000)]] = [1, 5, 10]
    seeds: list[Annotated[int, Field(ge=0, le=2**32 - 1)]] = [0]
    limit_s: Seconds = 3600.0
    scenarios: Any = None
    margin: Any = None
    datasets: Any = None
    encoders: Any = None
    captioners: Any = None
    tasks: Any = None
    retrievers: Any = None
    ablation: Any = None

    @field_validator("k", "seeds")
    @classmethod
    def _some(cls, numbers: list[int], info: ValidationInfo) -> list[int]:
        key = str(info.field_name)
        if not numbers:
            raise Conflict(key, f"{key} is an empty list; expected at least one number; remove the key")
        twice = [number for number in numbers if numbers.count(number) > 1] if key == "seeds" else []
        if twice:
            raise Conflict(key, f"seeds has {twice[0]} twice; expected each seed once; remove one")
        return numbers


class Margin(Settings):
    """So much worse may a cell be before `check` calls it a regression."""

    recall: float = Field(1.0, ge=0, lt=100, description="points of hit@k")
    rate: float = Field(5.0, ge=0, lt=100, description="per cent of queries/s")


NAMED: tuple[Section, ...] = ("datasets", "encoders", "captioners")


def load(path: str | Path) -> Suite:
    text, root, problems = read(path)
    if not isinstance(root.value, dict):  # a tag in front of everything
        problems.raise_if_any()
    given: dict[str, Node] = root.value if isinstance(root.value, dict) else {}
    values = fields(root, Keys, "", problems, _no_reference) or {}
    name = _name(given, problems)
    scenarios = _scenarios(given.get("scenarios"), problems)
    _margin(given, problems)
    components = Components(_named(given, problems), problems)
    members, together = ablation.apply(given, _members(given, "retrievers", dict, problems), problems)
    retrievers = _retrievers(members, components, problems)
    together = ablation.named(together, retrievers, members, problems)
    _compared(values.get("compare_to", ""), given, {*members, *(spec.name for spec in retrievers)}, problems)
    tasks = tasks_of(_members(given, "tasks", list, problems), components, problems)
    for section in NAMED:
        for each in components.named[section]:
            components.get(section, each)
    count = len(tasks) * len(retrievers) * len(values.get("seeds", [0]))
    if count > MOST_CELLS:
        problems.add(
            None,
            f"tasks, seeds and retrievers make {count:,} cells; expected at most {MOST_CELLS:,}; split the suite",
        )
    else:
        check_instruments(tasks, retrievers, problems)
    problems.raise_if_any()
    k, seeds = tuple(sorted(set(values["k"]))), tuple(values["seeds"])
    chosen = (name, k, seeds, scenarios, tuple(tasks), tuple(retrievers))
    said = {"about": values["about"], "ablation": together, "compare_to": values["compare_to"]}
    return Suite(*chosen, Path(path), text, values["limit_s"], **said)


def read_dataset(path: str | Path, name: str) -> Component | None:
    """One of the suite's `datasets` alone, whatever may be wrong with the rest; None where none is called so."""
    _, root, _ = read(path)
    problems = Problems(path)
    named = _named(root.value if isinstance(root.value, dict) else {}, Problems(path))
    if name not in named["datasets"]:
        return None
    component = Components(named, problems).get("datasets", name)
    problems.raise_if_any()
    return component if isinstance(component, Component) else None


def read_margin(path: str | Path) -> Margin:
    """The suite's margin alone, whatever may be wrong with the rest."""
    _, root, _ = read(path)
    problems = Problems(path)
    found = _margin(root.value if isinstance(root.value, dict) else {}, problems)
    problems.raise_if_any()
    return found


def _margin(given: Mapping[str, Node], problems: Problems) -> Margin:
    return Margin(**(fields(given.get("margin") or Node({}, 1), Margin, "margin.", problems, _no_reference) or {}))


def _compared(name: str, given: Mapping[str, Node], known: Collection[str], problems: Problems) -> None:
    """`compare_to`, where it is written, is one of the retrievers, or one of their variants."""
    if "compare_to" in given and isinstance(given["compare_to"].value, str) and name not in known:
        problems.add(
            given["compare_to"].line,
            f"compare_to names '{name[:80]}', which is none of the retrievers; expected one of "
            f"{', '.join(sorted(known)) or 'them (none is defined)'}; correct the name, or remove the "
            f"key{meant(name, known)}",
        )


def _name(given: Mapping[str, Node], problems: Problems) -> str:
    node = given.get("name")
    if node is None:
        problems.add(1, "name is missing; expected the suite's name; write for instance `name: audio`")
    elif not node.broken:
        return _safe(node.text or "", node, "name", problems)
    return ""


def _safe(name: str, node: Node, where: str, problems: Problems) -> str:
    """Names become parts of file names, so they are made of what is safe in one."""
    if not re.fullmatch(f"[A-Za-z0-9_+-]{{1,{LONGEST}}}", name):
        wrong = repr(name[:80]) if name else found(node)
        problems.add(
            node.line,
            f"{where} is {wrong}; expected letters, digits, _ + and - (at most {LONGEST}), for it becomes part of file "
            "names; rename it",
        )
    return name


def _scenarios(node: Node | None, problems: Problems) -> dict[str, dict[str, Any]]:
    if node is None:
        node = Node({name: Node({}, 1) for name in USUAL}, 1)
    given = mapping(node, "scenarios", problems) or {}
    if not given and not node.broken and (node.value is None or isinstance(node.value, dict)):
        problems.add(
            node.line,
            f"scenarios is empty; expected one of {', '.join(SCENARIOS)}; remove the key to have {' and '.join(USUAL)}",
        )
    chosen = {}
    for name, member in given.items():
        if name not in SCENARIOS:
            problems.add(
                member.line,
                f"unknown scenario {name[:80]}; expected one of {', '.join(SCENARIOS)}; correct or remove "
                f"it{meant(name, SCENARIOS)}",
            )
        else:
            if name == "batch" and isinstance(member.value, list):  # the short way to write it
                member = Node({"sizes": member}, member.line)
            chosen[name] = fields(member, SCENARIOS[name], f"scenarios.{name}.", problems, _no_reference) or {}
    if chosen and "offline" not in chosen and len(chosen) == len(given) and not node.broken:
        problems.add(
            node.line,
            "scenarios has no offline; expected it, for its answers are those that are scored; add `offline: {}`",
        )
    return chosen


def _no_reference(section: Section, node: Node, where: str) -> Any:
    raise AssertionError(f"{where} refers to {section}: only components and tasks do")


def _named(given: Mapping[str, Node], problems: Problems) -> dict[Section, dict[str, Node]]:
    named: dict[Section, dict[str, Node]] = {"retrievers": {}}
    for section in NAMED:
        members = mapping(given.get(section) or Node({}, 1), section, problems) or {}
        named[section] = {_safe(name, node, f"a name in {section}", problems): node for name, node in members.items()}
    return named


def _members(given: Mapping[str, Node], key: str, kind: type, problems: Problems) -> Any:
    """The members of `tasks` or `retrievers`: there must be some."""
    node = given.get(key)
    example = "`- {dataset: soundscapes}`" if kind is list else "`random: {kind: random}`"
    form = "a list of mappings" if kind is list else "a mapping from names to {kind: …}"
    if node is None or not (node.broken or (node.value and isinstance(node.value, kind))):
        wrong = "missing" if node is None else "empty" if node.value in ([], {}) else found(node)
        problems.add(node.line if node else 1, f"{key} is {wrong}; expected {form}; write for instance {example}")
    return node.value if node and isinstance(node.value, kind) else kind()


def _retrievers(members: Mapping[str, Node], components: Components, problems: Problems) -> list[RetrieverSpec]:
    bases: dict[str, str] = {}
    lower: dict[str, tuple[str, int]] = {}
    named: dict[str, Node] = {}
    for base, node in members.items():
        _safe(base, node, "a name in retrievers", problems)
        other = lower.setdefault(base.casefold(), (base, node.line))
        if other[0] != base:
            problems.add(
                node.line,
                f"the retriever '{base[:80]}' differs from '{other[0][:80]}' (line {other[1]}) in case alone; expected "
                "names whose files differ everywhere; rename one",
            )
        variants = expand(base, node, keys_of("retrievers", node), MOST_VARIANTS - len(named), problems)
        components.variants[base] = list(variants)
        named |= variants
        bases |= dict.fromkeys(variants, base)
    components.named = {**components.named, "retrievers": named}
    built = [(components.get("retrievers", name), base) for name, base in bases.items()]
    return [_spec(component, base, problems) for component, base in built if component is not WRONG]


def _spec(component: Component, base: str, problems: Problems) -> RetrieverSpec:
    own = component.instruments
    bare = replace(component, instruments={})
    for instrument in own:
        if instrument not in bare.wants and not ("captioner" in bare.wants and instrument == "encoder"):
            problems.add(
                component.line,
                f"retrievers.{base} has an {instrument}, but {component.kind} needs none; expected no such key; "
                "remove it",
            )
    return RetrieverSpec(bare, own.get("encoder"), own.get("captioner"), component.name, base)

"""What a suite needs and this machine lacks, each thing once: datasets, checkpoints, packages, files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.data import weights
from harness.data.datasets.sources import SOURCES
from harness.machine.hub import cache as hub_cache
from harness.suite.schema import marked, shapes
from harness.suite.spec import Component

HUB_NAME = r"(hf-hub:)?[\w.-]+(/[\w.-]+)?(@[\w./-]+)?"  # what names a checkpoint elsewhere, or a tag
FILES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")  # of weights, which no hub id ends in

Sort = Literal["dataset", "weights", "package", "file"]


@dataclass(frozen=True)
class Missing:
    sort: Sort
    name: str
    reason: str  # what a cell says that can't be measured without it
    size: str = ""
    licence: str = ""
    how: str = ""
    place: str = ""  # where it goes


def checkpoints(component: Component) -> Mapping[str, str]:
    """The hub ids that a component's settings name, by key; a folder or file that is there is none."""
    return {
        key: str(value).removeprefix("hf-hub:")
        for key, value in component.arguments.items()
        if _absent(value) and "/" in str(value) and _elsewhere(component, key, value)
    }


def _absent(value: Any) -> bool:
    return isinstance(value, Path) and not value.exists()


def _elsewhere(component: Component, key: str, value: Path) -> bool:
    """Whether it may name what is no path: something on the hub, or known to a library, such as a tag of open_clip."""
    fits = value.suffix not in FILES and re.fullmatch(HUB_NAME, str(value))
    return bool(fits and marked(shapes(component.entry.settings)[key], "hub"))


def missing(component: Component, home: Path, data: Path) -> Missing | None:
    """The package, folder, file or checkpoint that a component lacks on this machine; None where it has all."""
    entry = component.entry
    package = entry.missing()
    if package:
        return Missing("package", ", ".join(entry.requires), package, how=entry.install)
    reason = entry.absent(data) if component.section == "datasets" else None
    if reason:
        source = SOURCES.get(component.kind)
        if source is None:
            return Missing("dataset", component.kind, reason, how=entry.obtain, place=str(data / entry.folder))
        fetched = f"; `python -m harness data get {component.kind}` fetches a part" if source.copy else ""
        how, place = f"{source.where}{fetched}", str(data / entry.folder)
        return Missing("dataset", component.kind, reason, source.size, source.licence, how, place)
    if not entry.target:
        reason = entry.about or f"{component.kind}: this version can't build it yet"
        return Missing("package", component.kind, reason)
    hub = checkpoints(component)
    for key, value in component.arguments.items():
        lacks = None
        if key in hub:
            lacks = _weights(component, key, hub[key])
        elif _absent(value) and not _elsewhere(component, key, value):
            lacks = _file(component, key, home / value)
        if lacks:
            return lacks
    return None


def _file(component: Component, key: str, path: Path) -> Missing:
    reason = f"{component.kind}: nothing at {path} ({key}); put it there, or correct the path"
    return Missing("file", str(path), reason, how="put it there, or correct the path")


def _weights(component: Component, key: str, name: str) -> Missing | None:
    problem = weights.lacking(name)
    if problem is None:
        return None
    how = f"python -m harness weights get {name}"
    reason = f"{component.kind}: {name} ({key}) {problem}; `{how}` fetches it where there is a network"
    source = weights.SOURCES.get(name)
    size, licence = (source.size, source.licence) if source else ("", "see the hub")
    return Missing("weights", name, reason, size, licence, how, str(hub_cache()))


# -- what people read --------------------------------------------------------------------------------------------------


def screen(found: Sequence[Missing]) -> Iterator[str]:
    """All of it, for `plan`."""
    if found:
        yield "not here, and what brings it:"
    for each in _in_order(found):
        yield f"  {each.sort} {each.name}" + (f", {each.size}" if each.size else "")
        told = (("licence", each.licence), ("get it", each.how), ("put into", each.place))
        for head, text in told if each.sort != "weights" else told[:2]:
            if text:
                yield f"    {head}: {text}"


def brief(reason: str) -> str:
    """What is missing, without what to do about it: that is told once for all."""
    return reason.partition(";")[0]


def summary(found: Sequence[Missing], cells: int, plan: str) -> Iterator[str]:
    """Three lines at most, for the end of a run; `cells`: that could not be measured for want of these."""
    if not found:
        return
    named: dict[str, list[str]] = {}
    for each in _in_order(found):
        name = each.name + (f" ({each.size})" if each.sort == "weights" and each.size else "")
        named.setdefault(each.sort, []).append(name)
    yield "not here: " + "; ".join(f"{sort} {', '.join(names)}" for sort, names in named.items())
    yield f"with them {cells:,} more cells would be measured; `{plan}` says how to get each"


def _in_order(found: Sequence[Missing]) -> list[Missing]:
    order: tuple[Sort, ...] = ("dataset", "weights", "package", "file")
    unique = {(each.sort, each.name): each for each in found}
    return sorted(unique.values(), key=lambda each: order.index(each.sort))

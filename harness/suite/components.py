"""Components of a suite, named or in place, with all that they refer to: built and checked. For `reading`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from harness.contract.problems import Problems, meant
from harness.contract.settings import CaptionerName, Count, EncoderName, Medium, Paradigm, Settings
from harness.machine.files import file_digest, objection
from harness.suite import sources
from harness.suite.registry import Entry, Section, kinds
from harness.suite.schema import WRONG, fields, found, mapping
from harness.suite.spec import INSTRUMENTS, Component
from harness.suite.yaml_tree import Node

MOST_PARTS = 60  # components in one component; more is a mistake, or made to exhaust memory
Seconds = Annotated[float, Field(gt=0, le=31_536_000)]  # for preparing a cell; a year is enough


class Outside(Settings):
    """`kind: python`: a class that no registry knows. It is imported when it is built, not before."""

    target: str = Field(description="package.module:Class")
    arguments: dict[str, Any] = Field({}, description="go to the constructor as they are")
    version: int = Field(1, ge=1, description="raise it when results change for a reason that the harness can't see")


class OutsideDataset(Outside):
    modality: Medium
    generated: bool = Field(False, description="made by a program")


class OutsideEncoder(Outside):
    modalities: tuple[Medium, ...] = Field(("image", "audio", "video"), description="the media that it can handle")


class OutsideCaptioner(OutsideEncoder):
    needs: tuple[Literal["encoder", "captioner", "store", "links"], ...] = Field((), description="go to it by name")


class OutsideRetriever(OutsideCaptioner):
    paradigm: Paradigm


PYTHON: Mapping[Section, type[Outside]] = {
    "datasets": OutsideDataset,
    "encoders": OutsideEncoder,
    "captioners": OutsideCaptioner,
    "retrievers": OutsideRetriever,
}


class Beside(Settings):
    """What may stand beside any retriever's own keys."""

    encoder: EncoderName | None = Field(None, description="in place of the task's")
    captioner: CaptionerName | None = Field(None, description="in place of the task's")
    tasks: tuple[str, ...] | str | None = Field(None, description="globs of the tasks that it is for")
    queries: Count | None = Field(None, description="it is asked so many of a task's, where all are dear")
    limit_s: Seconds | None = Field(None, description="to prepare it in a process that ends after so many seconds")


FOR_TASKS = ("tasks", "queries", "limit_s")


@cache
def _beside(settings: type[Settings]) -> type[Settings]:
    return Beside if settings is Settings else create_model(settings.__name__, __base__=(settings, Beside))


def keys_of(section: Section, node: Node) -> type[Settings]:
    """What may be written for a component beside its kind; nothing of its own where the kind isn't known."""
    name = kind_of(node)
    entry = kinds(section).get(name or "")
    own = PYTHON[section] if name == "python" else entry.settings if entry else Settings
    return _beside(own) if section == "retrievers" else own


def kind_of(node: Node) -> str | None:
    kind = node.value.get("kind") if isinstance(node.value, dict) else None
    return kind.text if kind else None


class Components:
    def __init__(self, named: Mapping[Section, Mapping[str, Node]], problems: Problems) -> None:
        self.named = named
        self.problems = problems
        self.home = Path(problems.file).parent
        self.variants: dict[str, list[str]] = {}  # a retriever's name → those of its variants
        self._built: dict[tuple[Section, str], Any] = {}
        self._building: list[tuple[Section, str]] = []

    def get(self, section: Section, name: str) -> Any:
        """The component of that name, WRONG when something in it is."""
        place = (section, name)
        if place in self._building or len(self._building) > MOST_PARTS:
            node = self.named[section][name]
            chain = " needs ".join(f"'{step}'" for _, step in [*self._building[-5:], place])
            problem = "a cycle" if place in self._building else f"a chain of more than {MOST_PARTS} components"
            self.problems.add(node.line, f"{chain}: {problem}; expected an end; let one of them need something else")
            return WRONG
        if place not in self._built:
            self._building.append(place)
            where = f"{section}.{name.partition('@')[0]}"  # variants share their lines, and their mistakes
            self._built[place] = self.build(section, name, self.named[section][name], where)
            self._building.pop()
        return self._built[place]

    def refer(self, section: Section, node: Node, where: str) -> Any:
        """What a reference stands for: a name of the suite, a kind with its defaults, or a component in place."""
        if node.broken:
            return WRONG
        if isinstance(node.value, dict):
            return self.build(section, kind_of(node) or "", node, where)
        name = node.text or ""
        if name in self.named[section]:
            return self.get(section, name)
        if name in kinds(section):
            alone = Node({"kind": Node(name, node.line, name)}, node.line)
            return self.build(section, name, alone, where)
        known = [*self.named[section], *kinds(section)]
        hint = f"correct the name, or define it under {section}{meant(name, known)}"
        if name in self.variants:
            hint = f"it has variants: name one of {', '.join(self.variants[name][:6])}"
        wrong = f"'{name[:80]}', which names none of the {section}" if name else found(node)
        listed = ", ".join(dict.fromkeys(known[:20])) or "a name (none is defined)"
        self.problems.add(node.line, f"{where} is {wrong}; expected {listed}; {hint}")
        return WRONG

    def build(self, section: Section, name: str, node: Node, where: str) -> Any:
        entry = self._entry(section, node, where)
        if entry is None:
            return WRONG
        values = fields(node, keys_of(section, node), f"{where}.", self.problems, self.refer, ignore=("kind",))
        if values is None:
            return WRONG
        extra: dict[str, Any] = {}
        if section == "retrievers":
            extra = {key: values.pop(key) for key in FOR_TASKS}
            extra["tasks"] = (extra["tasks"],) if isinstance(extra["tasks"], str) else extra["tasks"]
            own = {key: values.pop(key) for key in INSTRUMENTS if key not in entry.settings.model_fields}
            extra["instruments"] = {key: used for key, used in own.items() if used is not None}
        files: dict[str, str] = {}
        if outside := entry.kind == "python":
            target, home = values["target"], self.home.absolute()
            if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", target):
                self.problems.add(
                    node.line,
                    f"{where}.target is '{target[:80]}'; expected package.module:Class; name the module, a colon and "
                    "the class",
                )
                return WRONG
            facts = {key: values[key] for key in ("version", "needs", "paradigm", "generated") if key in values}
            media = (values["modality"],) if section == "datasets" else values["modalities"]
            entry = Entry(target, kind="python", offers=None, modalities=media, foreign=True, home=home, **facts)
            files, values = sources.digests(target, home), values["arguments"]
        written: dict[str, Any] = {}
        for key, value in values.items():
            if isinstance(value, Path) or outside:
                values[key] = self._seen(value, _line(node, key), f"{where}.{key}", files)
                written |= {key: value} if values[key] != value else {}
        component = Component(
            name, section, entry.kind, values, node.line, entry, written=written, sources=files, **extra
        )
        wrong = list(_misfits(component, node, where))
        for line, sentence in wrong:
            self.problems.add(line, sentence)
        return WRONG if wrong else component

    def _seen(self, value: Any, line: int, where: str, files: dict[str, str]) -> Any:
        """With every path that lies beside the suite's file named from where we are; a hub id stays what it is.

        Which arguments of an outside class are paths isn't declared: a text is one if a file or folder of that name is
        there. Such files join `files`, with their SHA-256.
        """
        if isinstance(value, dict):
            return {key: self._seen(member, line, where, files) for key, member in value.items()}
        if isinstance(value, list):
            return [self._seen(member, line, where, files) for member in value]
        if not isinstance(value, str | Path):
            return value
        place = self.home / value
        if not _there(value, self.home):
            if _there(value, Path()):
                self.problems.add(
                    line,
                    f"{where} is '{str(value)[:200]}': nothing at {place}; there is one at {os.curdir}/{value}, seen "
                    "from the current folder; expected a path that follows the suite's file: write "
                    f"{os.path.relpath(Path(value).absolute(), self.home.absolute())}, or move it",
                )
            return value
        if isinstance(value, Path):
            return place
        if place.is_file():
            files[value] = file_digest(place)
        return str(place)

    def _entry(self, section: Section, node: Node, where: str) -> Entry | None:
        given = mapping(node, where, self.problems)
        if given is None or ("kind" in given and given["kind"].broken):
            return None
        known = [*kinds(section), "python"]
        name = kind_of(node)
        if "kind" not in given or not name:
            wrong = f"{where}.kind is {'missing' if 'kind' not in given else found(given['kind'])}"
            hint = f"write `kind: {known[0]}` or another one"
        elif name in known:
            return kinds(section).get(name) or Entry("", kind="python")
        else:
            wrong, hint = f"{where}.kind is '{name[:80]}'", f"correct it{meant(name, known)}"
        line = given["kind"].line if "kind" in given else node.line
        self.problems.add(line, f"{wrong}; expected one of {', '.join(known)}; {hint}")
        return None


def _misfits(component: Component, node: Node, where: str) -> Iterator[tuple[int, str]]:
    """What is wrong with what it is made of, though each value is one of the right type; with lines."""
    modality = component.arguments.get("modality")
    for key, value in component.arguments.items():
        wrong = objection(value) if isinstance(value, Path) else None
        if wrong:
            yield _line(node, key), f"{where}.{key} is {str(value)[:80]!r}, which {wrong}"
        if not isinstance(value, Component):
            continue
        wrong = component.objection(key, value)
        if wrong:
            yield _line(node, key), f"{where}.{key} is '{value.name}' of kind {value.kind}, {wrong}"
        if value.section == "datasets" and modality not in (None, value.modality):
            yield (
                _line(node, "modality"),
                f"{where}.modality is '{modality}', and {value.name} holds {value.modality}; expected that; correct it",
            )
    parts = sum(1 for _ in component.parts())  # it ends soon: those inside were counted before
    if parts > MOST_PARTS:
        yield (
            node.line,
            f"{where} is made of {parts:,} components, each counted as often as it is used; expected at most "
            f"{MOST_PARTS}; refer to fewer",
        )


def _line(node: Node, key: str) -> int:
    """Where an argument stands."""
    inside = node.value if isinstance(node.value, dict) else {}
    if "arguments" in inside and isinstance(inside["arguments"].value, dict):
        inside = inside["arguments"].value
    return inside[key].line if key in inside else node.line


def _there(value: str | Path, folder: Path) -> bool:
    """Whether a file or folder of this name lies there. A bare word is none of a folder: `test` is rather a split."""
    try:
        place = folder / value
        return place.is_file() or (place.is_dir() and (isinstance(value, Path) or os.sep in value))
    except (OSError, ValueError):  # too long, or with a NUL in it: no path
        return False

"""A suite: which retrievers answer which tasks, at which seeds. `load` reads one from YAML; the runner takes its cells.

Everything here is frozen, plain and cheap: loading a suite imports no contestant and touches no data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from harness.contract.folds import folds
from harness.contract.problems import Problem, SuiteError, meant
from harness.contract.settings import Settings
from harness.machine import hub
from harness.machine.files import digest, path_digest
from harness.suite.registry import Entry, Section, offering
from harness.suite.scenarios import SCENARIOS

INSTRUMENTS = ("encoder", "captioner")


@dataclass(frozen=True)
class Component:
    """A dataset, encoder, captioner or retriever as configured."""

    name: str
    section: Section
    kind: str
    arguments: Mapping[str, Any] = field(hash=False)  # checked, defaults filled in; a value may be a Component
    line: int | None = field(compare=False)
    entry: Entry = field(hash=False)
    # A retriever inside another one may bring its own encoder or captioner; the outermost keeps its own in its
    # RetrieverSpec.
    instruments: Mapping[str, Component] = field(default_factory=dict, hash=False)
    tasks: tuple[str, ...] | None = None  # globs of the tasks that a retriever is for; None: all of them
    queries: int | None = None  # of a task's queries a retriever is asked so many; None: all of them
    limit_s: float | None = field(default=None, compare=False)  # a retriever's; None: the suite's
    written: Mapping[str, Any] = field(default_factory=dict, hash=False)  # arguments with paths, as the suite has them
    sources: Mapping[str, str] = field(default_factory=dict, hash=False)  # `kind: python`: files of its own → SHA-256

    @cached_property
    def made(self) -> Component:
        """What is learnt and kept in the store: the same with the usual settings of its use, and without instruments of
        its own, which are told apart: inside another retriever it is what it is alone.
        """
        settings = self.entry.settings
        usual = {key: settings.model_fields[key].default for key in settings.searching}
        if not usual and not self.instruments:
            return self
        return replace(self, arguments={**self.arguments, **usual}, instruments={})

    @property
    def otherwise(self) -> str:
        """The end of an instrument's digest where it is asked in another way than usual, though learnt all the same."""
        return "" if self.made.digest == self.digest else f"+{self.digest[:16]}"

    @cached_property
    def digest(self) -> str:
        """Of all that shapes what it does. Names and lines are not among it."""
        target = self.entry.target if self.kind == "python" else None  # ours may move without being another one
        given = {**self.arguments, **self.written} if self.kind == "python" else self.arguments
        arguments = {key: _digested(value) for key, value in self.entry.settings.digested(given).items()}
        instruments = {key: value.digest for key, value in self.instruments.items()}
        own = [dict(self.sources)] if self.kind == "python" else []
        return _sha256([self.section, self.kind, target, self.entry.version, arguments, instruments, *own])

    @cached_property
    def settings(self) -> Settings:
        """What its constructor takes: components by their names; it takes them besides."""
        plain = {key: each.name if isinstance(each, Component) else each for key, each in self.arguments.items()}
        return self.entry.settings(**plain)

    def objection(self, need: str, used: Component) -> str | None:
        """Why it can't use this one, and what to do; None when it can, or where that is unknown."""
        wanted = {} if self.kind == "python" else self.settings.wants()
        if need not in wanted or used.entry.offers is None or wanted[need] in used.entry.offers:
            return None
        able = " or ".join(offering(used.section, wanted[need]))
        return f"which doesn't offer {wanted[need]}; expected one of kind {able}; name another"

    @property
    def config(self) -> dict[str, Any]:
        """For records: what could be written in a suite to get this very component."""
        given = {**self.arguments, **self.written}
        told = self.entry.settings.digested(given)  # it is part of artifacts' digests, too
        arguments = {key: _configured(value) for key, value in told.items()}
        instruments = {key: value.config for key, value in self.instruments.items()}
        if self.kind == "python":
            return {"kind": "python", "target": self.entry.target, "arguments": arguments, **instruments}
        return {"kind": self.kind, **arguments, **instruments}

    @cached_property
    def wants(self) -> frozenset[str]:
        """The instruments that it, or a retriever inside it, takes from the task."""
        needs = ((need, part) for part in self.parts() for need in part.entry.needs if need in INSTRUMENTS)
        return frozenset(need for need, part in needs if need not in part.instruments and need not in part.arguments)

    @property
    def inside(self) -> tuple[Component, ...]:
        """The components among its arguments."""
        given = (*self.arguments.values(), *self.instruments.values())
        return tuple(value for value in given if isinstance(value, Component))

    def parts(self) -> Iterator[Component]:
        """Itself and everything below it."""
        yield self
        for part in self.inside:
            yield from part.parts()

    @property
    def datasets(self) -> list[Component]:
        """All that it, or a component inside it, is trained on: its own dataset first."""
        below = (*self.inside, *(part for each in self.inside for part in each.parts()))
        return list(dict.fromkeys(part for part in below if part.section == "datasets"))

    @cached_property
    def modality(self) -> str | None:
        """The modality it is bound to: a dataset's, or that of an instrument's training data. None: any."""
        for part in self.parts():
            if isinstance(part.arguments.get("modality"), str):
                return str(part.arguments["modality"])
            if part.section == "datasets":
                return part.entry.modalities[0]
        return None

    @property
    def folds(self) -> list[str]:
        """The parts in which a dataset's protocol asks a split, each a task; \"\" where it is asked whole."""
        return folds(self.entry.folds.get(str(self.arguments.get("protocol")), 1))


@dataclass(frozen=True)
class TaskSpec:
    """What is asked: a dataset's split in one direction, and the instruments that retrievers get unless they differ."""

    dataset: Component
    split: str
    direction: str
    encoder: Component | None
    captioner: Component | None
    line: int | None = field(compare=False)
    hold_out: float = 0.0  # the share of the gallery that is added once the rest is indexed
    fold: str = ""  # which of the dataset's folds, as `2of5`; empty: the whole split
    gallery: int | None = None  # so many candidates, the split's own among them; None: these alone

    @property
    def part(self) -> str:
        """What a dataset knows the split, or its fold, as."""
        return f"{self.split}/{self.fold}" if self.fold else self.split

    @property
    def name(self) -> str:
        held = f"+{100 * self.hold_out:g}added" if self.hold_out else ""
        sized = f"/gallery={self.gallery}" if self.gallery else ""
        fold = f"/{self.fold}" if self.fold else ""
        return f"{self.dataset.name}/{self.split}/{self.direction}{held}{sized}{fold}"


@dataclass(frozen=True)
class RetrieverSpec:
    """One retriever, or one variant of it, with the instruments that it insists on."""

    component: Component
    encoder: Component | None
    captioner: Component | None
    name: str  # `dual-hnsw@efSearch=16`
    base: str  # `dual-hnsw`

    @property
    def line(self) -> int | None:
        return self.component.line

    def answers(self, task: TaskSpec) -> bool:
        """Whether the suite wants it at this task."""
        return self.component.tasks is None or any(fnmatchcase(task.name, glob) for glob in self.component.tasks)


@dataclass(frozen=True)
class Cell:
    """One retriever at one task with one seed: the unit that is run, recorded and resumed."""

    task: TaskSpec
    retriever: RetrieverSpec
    seed: int

    @property
    def encoder(self) -> Component | None:
        """The encoder that this cell uses; None where nothing in it needs one."""
        captioner = self.captioner
        wanted = "encoder" in self.retriever.component.wants or (captioner and "encoder" in captioner.wants)
        return (self.retriever.encoder or self.task.encoder) if wanted else None

    @property
    def captioner(self) -> Component | None:
        wanted = "captioner" in self.retriever.component.wants
        return (self.retriever.captioner or self.task.captioner) if wanted else None

    def parts(self) -> tuple[Component, ...]:
        """Every component that it is made of, its dataset's first."""
        used = [self.task.dataset, self.encoder, self.captioner, self.retriever.component]
        return tuple(part for each in used if each is not None for part in each.parts())

    @property
    def sources(self) -> dict[str, str]:
        """The files of all classes in it that no registry knows."""
        return {name: digest for part in self.parts() for name, digest in part.sources.items()}

    @property
    def name(self) -> str:
        return f"{self.task.name}.{self.retriever.name}.{self.seed}"

    @property
    def file(self) -> str:
        """The name as files bear it, without an ending."""
        return self.name.replace("/", "_")

    def key(self, k: Any, **more: Any) -> str:
        """A digest of everything configured that shapes this cell's result; names are not among it."""
        return _sha256([*self._made_of(), self.seed, k, more])

    @property
    def family(self) -> str:
        """A digest of what is the same whatever the seed, the depth and the scenarios."""
        return _sha256(self._made_of())

    def _made_of(self) -> list[Any]:
        instruments = [used.digest if used else None for used in (self.encoder, self.captioner)]
        task: list[Any] = [self.task.dataset.digest, self.task.split, self.task.direction]
        task += [self.task.hold_out] if self.task.hold_out else []
        task += [{"queries": self.retriever.component.queries}] if self.retriever.component.queries else []
        task += [{"fold": self.task.fold}] if self.task.fold else []
        task += [{"gallery": self.task.gallery}] if self.task.gallery else []
        return [task, self.retriever.component.digest, instruments]


@dataclass(frozen=True)
class Suite:
    name: str
    k: tuple[int, ...]  # ascending
    seeds: tuple[int, ...]
    scenarios: Mapping[str, Mapping[str, Any]] = field(hash=False)
    tasks: tuple[TaskSpec, ...]
    retrievers: tuple[RetrieverSpec, ...]
    path: Path
    text: str = field(repr=False)  # the file as read
    limit_s: float = field(default=3600.0, compare=False)  # for preparing a cell with outside code in it
    chosen: frozenset[str] | None = None  # names of cells; None: all of them
    about: str = field(default="", compare=False)  # what its tables end with
    ablation: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)  # full system → its changes
    compare_to: str = field(default="", compare=False)  # whom its tables hold all others against; "": the first one

    def cells(self) -> tuple[Cell, ...]:
        """Contest by contest: task, then seed, then the retrievers in the file's order."""
        every = (
            Cell(task, retriever, seed)
            for task in self.tasks
            for seed in self.seeds
            for retriever in self.retrievers
            if retriever.answers(task)
        )
        return tuple(cell for cell in every if self.chosen is None or cell.name in self.chosen)

    def key(self, cell: Cell) -> str:
        """Names everything asked of a cell, so that an equal key in a record means that it is done."""
        asked = {name: SCENARIOS[name].digested(settings) for name, settings in self.scenarios.items()}
        return cell.key(self.k, scenarios=asked)

    def select(self, patterns: str) -> Suite:
        """The same suite with fewer cells: those that one of the globs, separated by commas, names.

        A glob may name a cell, a task, a retriever's variant or a retriever with all its variants.
        """
        names = {cell: (cell.retriever.base, cell.task.name, cell.retriever.name, cell.name) for cell in self.cells()}
        chosen: set[Cell] = set()
        problems = []
        for pattern in (part.strip() for part in patterns.split(",")):
            found = [cell for cell, known in names.items() if any(fnmatchcase(name, pattern) for name in known)]
            chosen.update(found)
            if not found:
                columns = list(zip(*names.values(), strict=True))
                words = list(dict.fromkeys(word for column in columns for word in column))
                listed = ", ".join(dict.fromkeys(columns[0] + columns[1]))
                message = (
                    f"'{pattern}' names no cell; expected retrievers, tasks or cells of this suite: {listed}; "
                    f"correct the pattern{meant(pattern, words)}"
                )
                problems.append(Problem(str(self.path), None, message))
        if problems:
            raise SuiteError(problems)
        return replace(
            self,
            tasks=tuple(task for task in self.tasks if task in {cell.task for cell in chosen}),
            retrievers=tuple(spec for spec in self.retrievers if spec in {cell.retriever for cell in chosen}),
            seeds=tuple(seed for seed in self.seeds if seed in {cell.seed for cell in chosen}),
            chosen=frozenset(cell.name for cell in chosen),
        )


def _digested(value: Any) -> Any:
    if isinstance(value, Path):  # what lies there, so that it may be moved and a changed file is another one
        contents = path_digest(value)
        return hub.pinned(str(value)) if contents is None else {"contents": contents}
    return {"component": value.digest} if isinstance(value, Component) else value


def _configured(value: Any) -> Any:
    if isinstance(value, Path) and not value.exists():
        return hub.pinned(str(value))
    return value.config if isinstance(value, Component) else to_jsonable_python(value)


def _sha256(value: Any) -> str:
    return digest(to_jsonable_python(value))

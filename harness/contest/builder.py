"""Builds what a suite names: datasets, instruments, prepared retrievers. Everything expensive goes through the store.

Called by the runner alone. What isn't here raises `Unavailable`, with what to do.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.contest.contamination import refuse_leaks
from harness.contest.seals import Seals
from harness.contest.task import Task, open_task
from harness.contract.dataset import Contents, Dataset, Pairs, Unavailable
from harness.contract.instruments import Captioner, Encoder, Instrument
from harness.contract.retriever import Retriever, Unsupported
from harness.contract.store import Artifact, Recipe
from harness.data.audit import Audit, audit, leaks
from harness.data.media.screened import Screened
from harness.machine import files
from harness.machine.progress import say
from harness.store import captions, embeddings
from harness.store.artifacts import Store
from harness.suite.spec import Cell, Component, TaskSpec

OWN = ("seed", "store", "scratch")  # what the builder itself has to hand in


class Prepared(NamedTuple):
    """A retriever ready to search, and the name of its artifact."""

    retriever: Retriever
    digest: str


class Builder:
    def __init__(self, store: Store, data: Path) -> None:
        self.store = store
        self.data = data
        self.seals = Seals()
        self._datasets: dict[str, Dataset] = {}
        self._absent: dict[tuple[str, str], str] = {}  # missing splits, by dataset, and why
        self._instruments: dict[tuple[str, int], Instrument] = {}
        self._leaks: dict[tuple[str, str], dict[str, int]] = {}
        self.audits: dict[tuple[str, str], Audit] = {}  # of captions from elsewhere, by captioner (its digest) and task

    def dataset(self, component: Component) -> Dataset:
        if component.digest not in self._datasets:
            self._datasets[component.digest] = Screened(open_dataset(component, self.data), self.store.root)
        return self._datasets[component.digest]

    def task(self, spec: TaskSpec) -> Task:
        """Its queries and its gallery sealed: what is asked of a task is asked of contestants."""
        dataset = self.dataset(spec.dataset)
        task = open_task(spec.name, dataset, spec.part, spec.direction, spec.hold_out, spec.gallery)
        return replace(task, queries=self.seals.seal(task.queries), gallery=self.seals.seal(task.gallery))

    def contents(self, cell: Cell, task: Task) -> str:
        """A digest of what is asked, and of all datasets that the cell has to do with, as far as they are here."""
        shaping = {}
        for part in cell.parts():
            if part.section == "datasets":
                with suppress(Unavailable):
                    shaping[part.digest] = self.dataset(part).digest
        return files.digest([task.queries.digest, task.gallery.digest, shaping])

    def pairs(self, component: Component, direction: str, needed: bool = False) -> tuple[Pairs, Pairs]:
        """A dataset's train and validation splits, sealed. One that isn't there is empty, unless it is `needed`."""
        found = (self._pairs(component, split, direction, needed) for split in ("train", "validation"))
        train, validation = map(self.seals.sealed_pairs, found)
        return train, validation

    def _pairs(self, component: Component, split: Any, direction: str, needed: bool) -> Pairs:
        dataset, place = self.dataset(component), (component.digest, split)
        try:
            if place in self._absent:
                raise Unavailable(self._absent[place])
            found = dataset.split(split)
            return found.questions(direction) if split == "validation" else found.pairs(direction)
        except Unavailable as reason:
            if needed:
                raise
            if place not in self._absent:
                say(f"    nothing is learned from {component.name}/{split}: {reason}")
            self._absent[place] = str(reason)
            asked, _, answered = direction.partition("-")
            return Pairs.empty(asked, answered)  # type: ignore[arg-type]

    def leaks(self, component: Component, split: Any) -> dict[str, int]:
        """What a split shares with those for training, as far as they are here; of train itself, all its items."""
        place = (component.digest, split)
        if place not in self._leaks:
            dataset, learned = self.dataset(component), []
            for name in ("train", "validation"):
                if name != split.partition("/")[0]:
                    with suppress(Unavailable):
                        learned.append(dataset.split(name))
            asked = dataset.split(split)
            itself = {"learned": len(asked.items)} if split.partition("/")[0] == "train" else {}
            self._leaks[place] = itself | leaks(asked, learned)
        return self._leaks[place]

    def encoder(self, component: Component, seed: int) -> Encoder:
        encoder = self._instrument(component, seed)
        assert isinstance(encoder, Encoder), f"{component.entry.target} is no harness.contract.Encoder"
        encoder.stored = lambda encoder, contents: self._stored(encoder, contents)  # no method: it has no `__self__`
        return encoder

    def captioner(self, component: Component, seed: int) -> Captioner:
        captioner = self._instrument(component, seed)
        assert isinstance(captioner, Captioner), f"{component.entry.target} is no harness.contract.Captioner"
        captioner.stored = lambda captioner, contents: self._captions(captioner, contents)
        return captioner

    def _instrument(self, component: Component, seed: int) -> Instrument:
        """Trained or loaded through the store, once for all who share it."""
        check_available(component)
        seed = seed if component.entry.seeded else 0
        key = (component.digest, seed)
        train, validation = self._training_pairs(component)
        injected = self._inner_instruments(component, seed)
        recipe = Recipe(
            component.section.removesuffix("s"),
            component.name,
            {"component": component.made.digest, "about": component.made.config, "seed": seed}
            | {name: instrument.digest for name, instrument in injected.items()}
            | self._learnt_from(train, validation),
        )

        def build(folder: Path) -> None:
            instrument = self._construct(component, seed, **injected)
            instrument.fit(train, validation)
            instrument.save(folder)

        artifact = self.store.make(recipe, build)  # asked for every time, so that every user books its cost
        if key not in self._instruments:
            instrument = self._construct(component, seed, **injected)
            instrument.load(artifact.folder)
            instrument.digest = recipe.digest + component.otherwise
            self._instruments[key] = instrument
        return self._instruments[key]

    def _inner_instruments(self, component: Component, seed: int) -> dict[str, Any]:
        """The instruments among a component's own arguments."""
        make = {"encoders": self.encoder, "captioners": self.captioner}
        given = {name: value for name, value in component.arguments.items() if isinstance(value, Component)}
        return {name: make[value.section](value, seed) for name, value in given.items() if value.section in make}

    def _training_pairs(self, component: Component) -> tuple[Pairs, Pairs]:
        """Those of the dataset that an instrument names, or else of one that an instrument inside it names."""
        for dataset in component.datasets[:1]:
            return self.pairs(dataset, f"text-{dataset.modality}", needed=True)
        return Pairs.empty("text", "text"), Pairs.empty("text", "text")

    def _learnt_from(self, train: Pairs, validation: Pairs) -> dict[str, str]:
        real = map(self.seals.revealed_pairs, (train, validation))
        return dict(zip(("train", "validation"), (pairs.digest for pairs in real), strict=True))

    def _captions(self, captioner: Captioner, contents: Contents) -> list[list[str]]:
        """The captions of contents, from the store."""
        real = self.seals.reveal(contents)
        label = _label(real)
        recipe = Recipe("captions", label, {"captioner": captioner.digest, "contents": real.digest})

        def build(folder: Path) -> None:
            made = captioner.describe(contents)
            captions.check(made, len(contents), label)
            (folder / "captions.json.gz").write_bytes(files.pack_json(made))

        return files.unpack_json((self.store.make(recipe, build).folder / "captions.json.gz").read_bytes())

    def _audit(self, captioner: Captioner, task: Task) -> None:
        """Say how many captions from elsewhere equal the real ones, once for each task."""
        place = (captioner.digest, task.name)
        if not captioner.audited or task.queries.modality != "text" or place in self.audits:
            return
        with self.store.ledger():  # their users book their cost
            described = self._captions(captioner, task.gallery)
        self.audits[place] = audit(described, list(task.queries), task.links)
        say(f"    audit: {self.audits[place]}")

    def _stored(self, encoder: Encoder, contents: Contents) -> np.ndarray:
        """The vectors of contents, memory-mapped from the store."""
        real = self.seals.reveal(contents)
        label = _label(real)
        recipe = Recipe("embeddings", label, {"encoder": encoder.digest, "contents": real.digest})

        def build(folder: Path) -> None:
            self.store.carry(embeddings.write(folder, self.store.scratch(recipe), encoder, contents, label))

        needs = embeddings.needed(len(contents), encoder.dim)
        return np.load(self.store.make(recipe, build, needs).folder / embeddings.FILE, mmap_mode="r")

    def retriever(self, cell: Cell, task: Task) -> Retriever:
        """Fitted, indexed and ready to search."""
        component = cell.retriever.component
        refuse_leaks(cell, self.dataset)
        pairs = self.pairs(cell.task.dataset, cell.task.direction)
        tools = {"encoder": cell.encoder, "captioner": cell.captioner}
        prepared = self._prepared(component, cell.retriever.name, tools, task, pairs, cell.seed, task.later)
        if "links" in component.entry.needs and component.entry.paradigm == "control":
            prepared.retriever.peek(task.links)  # type: ignore[attr-defined]  # for the oracle
        return prepared.retriever

    def details(self, cell: Cell) -> dict[str, Any]:
        """The details that the instruments of a prepared cell report."""
        found = {}
        for name, used in (("encoder", cell.encoder), ("captioner", cell.captioner)):
            if used and (used.digest, seed := cell.seed if used.entry.seeded else 0) in self._instruments:
                found[name] = dict(self._instruments[used.digest, seed].details())
        return {name: details for name, details in found.items() if details}

    def _prepared(
        self,
        component: Component,
        label: str,
        tools: Mapping[str, Component | None],
        task: Task,
        pairs: tuple[Pairs, Pairs],
        seed: int,
        later: Contents,
    ) -> Prepared:
        """Built unless it is in the store, inner retrievers first, and always loaded from there: resumed or not, a run
        has the same retriever.

        `later` is added to what is made of the task's other candidates, an artifact of its own, which a retriever that
        has this one inside shares; inner retrievers get none of it.
        """
        check_available(component)
        if task.queries.modality not in component.entry.asks:
            raise Unavailable(
                f"{component.kind} answers {' and '.join(component.entry.asks)} queries, and this task asks in "
                f"{task.queries.modality}"
            )
        tools = {**tools, **component.instruments}
        injected: dict[str, Any] = {}
        parents: dict[str, str] = {}
        for name, make in (("encoder", self.encoder), ("captioner", self.captioner)):
            used = tools.get(name)
            if used is not None and name in component.entry.needs:
                injected[name] = make(used, seed)
                parents[name] = injected[name].digest
        for name, value in component.arguments.items():
            if isinstance(value, Component) and value.section == "retrievers":
                inner = self._prepared(value, value.name, tools, task, pairs, seed, later[:0])
                injected[name], parents[name] = inner.retriever, inner.digest
        train, validation = pairs
        seed = seed if component.entry.seeded else 0
        learnt = {"component": component.made.digest, "about": component.made.config, "seed": seed} | parents
        learnt |= self._learnt_from(train, validation)
        about = learnt | {"gallery": self.seals.reveal(task.indexed).digest}
        recipe = Recipe("retriever", label, about)

        def build(folder: Path) -> None:
            scratch = self.store.scratch(recipe)
            retriever = self._construct(component, seed, **injected, scratch=scratch)
            self._fit(retriever, Recipe("fit", label, learnt), train, validation)
            with self.store.phase("index"):
                retriever.index(task.indexed)
                retriever.save(folder)

        def grow(folder: Path) -> None:
            indexed = self.store.make(recipe, build)
            with self.store.phase("index"):
                retriever = ready(indexed)
            with self.store.phase("add"):
                self._add(retriever, later, component)
            with self.store.phase("index"):
                retriever.save(folder)

        def ready(artifact: Artifact) -> Retriever:
            retriever: Retriever = self._construct(component, seed, **injected)
            retriever.load(artifact.folder)
            return retriever

        added = about | {"added": self.seals.reveal(later).digest}
        grown = Recipe("retriever", f"{label} +{len(later)} added", added)
        made, how = (grown, grow) if len(later) else (recipe, build)
        artifact = self.store.make(made, how)
        if "captioner" in injected:
            self._audit(injected["captioner"], task)
        return Prepared(ready(artifact), made.digest)

    def _fit(self, retriever: Retriever, recipe: Recipe, train: Pairs, validation: Pairs) -> None:
        """Anew, or found where another gallery's contest has left it."""
        if not retriever.keeps_fit:
            retriever.fit(train, validation)
            return

        def build(folder: Path) -> None:
            retriever.fit(train, validation)
            retriever.save_fit(folder)

        retriever.load_fit(self.store.make(recipe, build).folder)

    def _add(self, retriever: Retriever, later: Contents, component: Component) -> None:
        try:
            retriever.add(later)
        except Unsupported as reason:
            raise Unavailable(f"{component.kind}: {reason}") from reason

    def _construct(self, component: Component, seed: int, scratch: Path | None = None, **injected: Any) -> Any:
        """With its settings, and by name what it needs. Outside code: its arguments, and what its signature names."""
        target: Callable[..., Any] = component.entry.load(component.section)
        own: dict[str, Any] = dict(zip(OWN, (seed, self.store, scratch), strict=True))
        if component.kind == "python":
            asked = inspect.signature(target).parameters
            return target(**component.arguments, **injected, **{name: own[name] for name in OWN if name in asked})
        if component.section != "retrievers":
            own["reveal"] = self.seals.reveal
        needed = {name: own[name] for name in own if name in component.entry.needs}
        return target(component.settings, **injected, **needed)


def open_dataset(component: Component, data: Path) -> Dataset:
    entry = component.entry
    reason = entry.absent(data)
    if reason:
        raise Unavailable(reason)
    target, root = entry.load("datasets"), {"root": data / entry.folder} if entry.folder else {}
    dataset: Dataset = (
        target(**component.arguments) if component.kind == "python" else target(component.settings, **root)
    )
    return dataset


def _label(contents: Contents) -> str:
    """Which contents, for people: the end of a source such as `soundscapes v1.1 seed 0:test:items`."""
    return " ".join(contents.source.split(":")[-2:])


def check_available(component: Component) -> None:
    """Raise `Unavailable` if this machine or this version can't build this instrument or retriever."""
    entry = component.entry
    reason = entry.missing()
    if reason:
        raise Unavailable(reason)
    if not entry.target:
        raise Unavailable(f"{component.kind}: {entry.about or 'this version can not build it yet'}")
    try:
        entry.module()
    except ModuleNotFoundError as error:
        raise Unavailable(f"{component.kind}: {entry.target} can't be imported ({error}); install it") from error

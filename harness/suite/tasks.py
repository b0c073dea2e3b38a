"""The tasks of a suite, and whether each has the instruments that its retrievers need. For `suite_reading`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.contract.problems import Problems, meant
from harness.contract.settings import CaptionerName, DatasetName, EncoderName, Settings
from harness.suite.components import Components
from harness.suite.schema import fields, found
from harness.suite.spec import INSTRUMENTS, Component, RetrieverSpec, TaskSpec
from harness.suite.yaml_tree import Node

Size = Annotated[int, Field(ge=1, le=100_000_000)]


class TaskSettings(Settings):
    dataset: DatasetName
    split: Literal["train", "validation", "test"] = "test"
    direction: list[str] | str | None = None
    encoder: EncoderName | None = None
    captioner: CaptionerName | None = None
    hold_out: float = Field(0.0, ge=0, le=0.99, description="the share of the gallery that is added afterwards")
    gallery: list[Size] | Size | None = Field(
        None, description="so many candidates: the split's own and more like them"
    )


def tasks_of(members: list[Node], components: Components, problems: Problems) -> list[TaskSpec]:
    tasks: dict[str, TaskSpec] = {}
    for number, node in enumerate(members):
        where = f"tasks[{number}]"
        if not isinstance(node.value, dict):
            if not node.broken:
                problems.add(
                    node.line,
                    f"{where} is {found(node)}; expected a mapping; write for instance {{dataset: soundscapes}}",
                )
            continue
        values = fields(node, TaskSettings, f"{where}.", problems, components.refer)
        if values is None:
            continue
        directions = _directions(values, node, where, problems)
        galleries = _galleries(values, node, where, problems)
        for direction, gallery, fold in product(directions, galleries, values["dataset"].folds):
            task = TaskSpec(**{**values, "direction": direction, "gallery": gallery}, line=node.line, fold=fold)
            same = tasks.setdefault(task.name.casefold(), task)  # some systems take both cases for one file
            if same is not task:
                problems.add(
                    node.line,
                    f"the task {task.name} again; expected each once, and line {same.line} has it; remove "
                    "one, or give its dataset a name of its own under datasets",
                )
    return list(tasks.values())


def _directions(values: Mapping[str, Any], node: Node, where: str, problems: Problems) -> Iterator[str]:
    medium = values["dataset"].modality
    possible = (f"text-{medium}", f"{medium}-text")
    given = values["direction"]
    line = node.value["direction"].line if isinstance(node.value, dict) and "direction" in node.value else node.line
    if given == []:
        problems.add(line, f"{where}.direction is an empty list; expected {' or '.join(possible)}; write one")
    for direction in [given] if isinstance(given, str) else [possible[0]] if given is None else given:
        if direction in possible:
            yield direction
        else:
            problems.add(
                line,
                f"{where}.direction is '{direction[:80]}'; the dataset {values['dataset'].name} holds {medium}, so "
                f"expected {' or '.join(possible)}; choose one{meant(direction, possible)}",
            )


def _galleries(values: Mapping[str, Any], node: Node, where: str, problems: Problems) -> Iterator[int | None]:
    """Each size of the gallery that a dataset can make; None: that of its split."""
    given, dataset = values["gallery"], values["dataset"]
    if given is None:
        yield None
        return
    line = node.value["gallery"].line if isinstance(node.value, dict) else node.line
    directions = values["direction"] if isinstance(values["direction"], list) else [values["direction"]]
    if any(direction and not direction.startswith("text-") for direction in directions):
        problems.add(
            line,
            f"{where}.gallery with media that ask for text; expected text-{dataset.modality} alone, for what is added "
            "has no captions; write that, or remove `gallery`",
        )
    for size in [given] if isinstance(given, int) else given:
        wrong = None if dataset.kind == "python" else dataset.settings.crowd(values["split"], size)
        if wrong:
            problems.add(line, f"{where}.gallery is {size:,}, and {dataset.name} {wrong}")
        yield size


def check_instruments(tasks: list[TaskSpec], retrievers: list[RetrieverSpec], problems: Problems) -> None:
    """Whether every task has the instruments that its retrievers need, for the right medium; every retriever a task."""
    for spec in retrievers:
        for glob in spec.component.tasks or ():
            if tasks and not any(fnmatchcase(task.name, glob) for task in tasks):
                names = [task.name for task in tasks]
                problems.add(
                    spec.line,
                    f"retrievers.{spec.base}.tasks is '{glob[:80]}', which names no task; expected a glob of one of "
                    f"{', '.join(names[:12])}; correct it{meant(glob, names)}",
                )
    for task in tasks:
        lacking: dict[str, list[str]] = {}
        for spec in (spec for spec in retrievers if spec.answers(task)):
            tools = {name: getattr(spec, name) or getattr(task, name) for name in INSTRUMENTS}
            for instrument, used in tools.items():
                if getattr(spec, instrument):
                    _check_medium(used, task, spec.line, f"retrievers.{spec.base}", problems)
                if used is None and instrument in spec.component.wants:
                    lacking.setdefault(instrument, []).append(spec.base)
            _check_offers(spec.component, tools, spec, problems)
        for instrument, names in lacking.items():
            who = ", ".join(dict.fromkeys(names))
            problems.add(
                task.line,
                f"the task {task.name} names no {instrument}, which {who} needs; expected one from the task or the "
                f"retriever; add `{instrument}: NAME` here",
            )
        for used in (task.encoder, task.captioner):
            if used is not None:
                _check_medium(used, task, task.line, f"the task {task.name}", problems)


def _check_offers(
    component: Component, tools: Mapping[str, Component | None], spec: RetrieverSpec, problems: Problems
) -> None:
    """Whether its instruments, and those of the components inside it, offer what is wanted of them."""
    tools = {**tools, **component.instruments}
    for need, used in tools.items():
        wrong = component.objection(need, used) if used and need in component.wants else None
        if used and wrong:
            problems.add(
                spec.line,
                f"retrievers.{spec.base}: the {need} of its {component.kind} is '{used.name}' of kind {used.kind}, "
                f"{wrong}",
            )
    for part in component.inside:
        if part.section == "retrievers":
            _check_offers(part, tools, spec, problems)


def _check_medium(instrument: Component, task: TaskSpec, line: int | None, where: str, problems: Problems) -> None:
    medium = task.dataset.modality
    bound = (instrument.modality,) if instrument.modality else instrument.entry.modalities
    if medium not in bound:
        problems.add(
            line,
            f"{where} uses '{instrument.name}', made for {' and '.join(bound)}, on the dataset {task.dataset.name}, "
            f"which holds {medium}; expected one for {medium}; choose another",
        )

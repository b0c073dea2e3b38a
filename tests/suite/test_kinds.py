"""No kind is declared twice: its settings and its entry say all, and its constructor takes just that."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import date
from enum import Enum
from typing import Annotated

import pytest
from pydantic import Field

from harness.contract.settings import PARADIGMS, Settings
from harness.suite.registry import SECTIONS, Entry, kinds
from harness.suite.schema import described, shapes


class Colour(Enum):
    RED = "red"


class Odd(Settings):
    colour: Colour
    day: date
    size: Annotated[int, Field(gt=0)] | None = None
    call: Callable[[int], int] | None = None


def test_other_packages_may_use_types_of_their_own() -> None:
    words = ["Colour", "date", "a whole number above 0", "anything"]
    assert [described(shape) for shape in shapes(Odd).values()] == words


OURS = [
    pytest.param(section, entry, id=f"{section}-{name}")
    for section in SECTIONS
    for name, entry in kinds(section).items()
    if not entry.foreign
]


@pytest.mark.parametrize(("section", "entry"), OURS)
def test_a_constructor_takes_its_settings_and_what_it_needs(section: str, entry: Entry) -> None:
    taken = inspect.signature(entry.load(section)).parameters  # type: ignore[arg-type]
    needs = [need for need in entry.needs if need != "links"]  # which come through a door of their own
    assert sorted(taken) == sorted(["settings", *needs, *(["root"] if entry.folder else [])])
    assert {each.default for each in taken.values()} <= {inspect.Parameter.empty, None}, (
        "defaults stand in the settings"
    )
    assert entry.paradigm in (PARADIGMS if section == "retrievers" else ("",))


@pytest.mark.parametrize(("section", "entry"), OURS)
def test_every_setting_has_a_sentence(section: str, entry: Entry) -> None:
    assert entry.about and all(field.description for field in entry.settings.model_fields.values())
    assert entry.settings.model_config["frozen"] and entry.settings.model_config["extra"] == "forbid"

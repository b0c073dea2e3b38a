"""`from harness.contract import …`: what the README tells people to write."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import harness.contract
from harness.contract import HOME


@pytest.mark.parametrize("name", harness.contract.__all__)
def test_each_name_comes_from_its_module(name: str) -> None:
    assert getattr(harness.contract, name).__name__ == name


def test_type_checkers_are_told_the_same() -> None:
    source = Path(harness.contract.__file__).read_text()
    told = {
        (node.module.rpartition(".")[2], alias.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("harness.contract.")
        for alias in node.names
    }
    assert sorted(harness.contract.__all__) == sorted(HOME)
    assert told == {(module, name) for name, module in HOME.items()}


def test_other_names_are_refused_with_those_that_there_are() -> None:
    with pytest.raises(ImportError):
        from harness.contract import Retreiver  # noqa: F401
    with pytest.raises(AttributeError, match="Retriever"):
        _ = harness.contract.Retreiver

"""`compare_to:` in a suite names a retriever, or one with variants, and says so where it names none."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.contract.problems import SuiteError
from harness.suite import load

HEAD = """\
name: compared
datasets: {sounds: {kind: soundscapes, train: 8, validation: 8, test: 12}}
encoders: {small: {kind: small, trained_on: sounds}}
tasks: [{dataset: sounds, encoder: small}]
retrievers:
  dual: {kind: dual_tower}
  hnsw: {kind: dual_tower, index: "HNSW8,Flat", search: {efSearch: [8, 16]}}
"""


def written(folder: Path, more: str) -> Path:
    path = folder / "suite.yaml"
    path.write_text(HEAD + more)
    return path


@pytest.mark.parametrize("name", ["dual", "hnsw", "hnsw@efSearch=16", ""])
def test_a_retriever_a_variant_or_all_of_them(tmp_path: Path, name: str) -> None:
    assert load(written(tmp_path, f"compare_to: '{name}'\n" if name else "")).compare_to == name


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("duel", ("compare_to names 'duel'", "expected one of dual, hnsw", "dual'?")),
        ("''", ("compare_to names ''", "remove the key")),
        ("[dual]", ("compare_to is a list", "expected text")),
    ],
)
def test_anything_else_is_a_mistake(tmp_path: Path, value: str, words: tuple[str, ...]) -> None:
    with pytest.raises(SuiteError) as caught:
        load(written(tmp_path, f"compare_to: {value}\n"))
    (problem,) = caught.value.problems
    assert problem.line == 8
    for word in words:
        assert word in problem.message, problem.message

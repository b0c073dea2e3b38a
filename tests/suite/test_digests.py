"""Artifacts and records are found by digests of what was configured: those of today must be those of tomorrow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.suite import load

SMALL = (
    "encoders: {small: {kind: small, trained_on: soundscapes}}\ncaptioners: {small: {kind: small, encoder: small}}\n"
)
HEAD = f"name: x\n{SMALL}tasks: [{{dataset: soundscapes, encoder: small, captioner: small}}]\nretrievers:\n  a: "
TASK = "name: x\nretrievers: {random: {kind: random}}\ntasks: [{dataset: "

RETRIEVERS = {
    "{kind: cart}": "1632d242abbaa12741cdf5c809b99ff92891f03a6a07f5d0a0788",
    "{kind: dual_tuned, text: captioner, teacher: likelihood}": "66b79c7746864f5978a8e13bffc7c06dceb1b7ac5555202e644d",
    "{kind: dual_tower, index: 'HNSW32,Flat', search: {efSearch: 16}}": (
        "8e70b6443b3314c50725f4da0cf85b8b80543b36877bdb604be3"
    ),
    "{kind: match}": "1bcfb22afcdca279c4ee66e31efc71072014c337478a1eb35333",
    "{kind: lexical}": "c6698e6e131c684b9681da9940b7af2cde73fb2ce0b689527f770c034aa40dd0",
    "{kind: rerank, first: {kind: dual_tower, index: 'HNSW32,Flat', tune: {recall: 0.99}}}": (
        "9da2a6d56dd28977d803cbb4e81d9510ff8a53361c2781863e86"
    ),
    "{kind: likelihood}": "1ebb31bf9e024a5edbdf8f78a13e6f4f98809223f14f491ad476d418a4a8c5ef",
    "{kind: random}": "27d7e3f8264b46f63a66e52d328e5075d39d518729ea0ce451f86fd42d8a8afd",
}
DATASETS = {
    "{kind: soundscapes}": "a8063b846b683fa353d80cae7d355c5c3e79fcdab9078554394a",
    "{kind: coco, protocol: 1k}": "b70057ab391fea255abf7418f1086360b6a108911a885fd7b5759f9d01e16c93",
    "{kind: manifest, path: m.csv, modality: video, longest_s: 30, vectors: v.npy}": (
        "34c7c3b576d3c8457770b7d7e1eea5addad254ea074b3880153d63a1bc930838"
    ),
    "{kind: manifest, path: m.csv, modality: audio, columns: {caption: [a, b]}, split: {test: 0.2}}": (
        "e9c83d56adcd7f8925f5cdefb303eb41c6a31b6beadbc66e44723a332950c542"
    ),
}


@pytest.mark.parametrize("written", RETRIEVERS)
def test_retrievers_and_what_they_are_handed(written: str, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(f"{HEAD}{written}\n")
    (cell,) = load(tmp_path / "suite.yaml").cells()
    assert cell.retriever.component.digest.startswith(RETRIEVERS[written]), json.dumps(cell.retriever.component.config)
    for used, digest in (
        (cell.task.encoder, "d07605f853e9fe9969528cebeff1de47a23bfe1edd4fc5428893a03cce0f78c4"),
        (cell.task.captioner, "aca6e79afb642b7b815bbc4cc19624ede874482d41bc28445f353f00ee920176"),
    ):
        assert used is not None and used.digest == digest


def test_cells_and_what_they_are_asked(tmp_path: Path) -> None:
    """One process is as before there were several; two are another cell."""
    keys = []
    for processes in (None, 1, 2):
        more = f"\nscenarios: {{offline: {{processes: {processes}}}, single: {{}}}}" if processes else ""
        (tmp_path / "suite.yaml").write_text(f"{TASK}soundscapes}}]{more}\n")
        suite = load(tmp_path / "suite.yaml")
        keys.append(suite.key(suite.cells()[0]))
    assert keys[0] == keys[1] == "a8eeb28dcab161d61b23f1f2189f2f2e7c852b9057da5ff98fa1987e9eff3c09"
    assert keys[2] != keys[0]


def test_what_came_later_is_no_part_of_a_configuration_unless_it_is_used(tmp_path: Path) -> None:
    """Artifacts are found by it, too."""
    for more, told in (("", {}), (", width: 192", {}), (", width: 24", {"width": 24})):
        text = f"{HEAD}{{kind: dual_tower}}\n".replace("trained_on: soundscapes", f"trained_on: soundscapes{more}")
        (tmp_path / "suite.yaml").write_text(text)
        (cell,) = load(tmp_path / "suite.yaml").cells()
        assert cell.encoder is not None
        found = {key: value for key, value in cell.encoder.config.items() if key == "width"}
        assert found == told and (cell.encoder.digest[:8] == "d07605f8") == (not told)


@pytest.mark.parametrize("written", DATASETS)
def test_datasets(written: str, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(f"{TASK}{written}}}]\n")
    assert load(tmp_path / "suite.yaml").tasks[0].dataset.digest.startswith(DATASETS[written])

"""A dear `fit` is an artifact of its own: another gallery of the dataset is indexed with what is learnt already."""

from __future__ import annotations

import json
from pathlib import Path

from runs import harness, records

SUITE = """\
name: apart
k: [1]
scenarios: {offline: {rounds: 1, cap_s: 2}}
datasets: {sounds: {kind: soundscapes, train: 24, validation: 8, test: 20}}
encoders: {audio: {kind: small, trained_on: sounds, steps: 3, batch: 16, dim: 16}}
tasks:
  - {dataset: sounds, encoder: audio}
  - {dataset: sounds, encoder: audio, hold_out: 0.25}
retrievers:
  match: {kind: match, steps: 2, items: 8}
  dual:  {kind: dual_tower}
"""


def test_another_gallery_reuses_the_fit_and_books_it(tmp_path: Path) -> None:
    (tmp_path / "apart.yaml").write_text(SUITE)
    done = harness(tmp_path / "cache", "run", tmp_path / "apart.yaml", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    fits = [json.loads(path.read_bytes()) for path in (tmp_path / "cache/fit").glob("*/manifest.json")]
    assert [each["label"] for each in fits] == ["match"], "one for both galleries, none of who learns nothing"
    assert "gallery" not in fits[0]["config"]
    galleries = list((tmp_path / "cache/retriever").glob("*/match.safetensors"))
    assert len(galleries) == 3, "the whole one, and the other before and after it is added to"
    assert len({each.read_bytes() for each in galleries}) == 1
    costs = [each["cost"] for name, each in records(tmp_path / "out").items() if ".match." in name]
    assert len(costs) == 2
    for cost in costs:
        assert cost["artifacts"]["fit match"]["digest"] == fits[0]["digest"]
        assert cost["fit_s"] >= sum(fits[0]["seconds"].values()) > 0, "found or made, it is a cost of both"

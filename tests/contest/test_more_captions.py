"""A captioner that is asked for more captions, or for others, is the same captioner: it is trained once."""

from __future__ import annotations

import json
from pathlib import Path

from runs import harness, records

SUITE = """\
name: captions
k: [1]
scenarios: {offline: {rounds: 1, cap_s: 5}}
datasets: {sounds: {kind: soundscapes, train: 48, validation: 16, test: 24}}
encoders: {small: {kind: small, trained_on: sounds, steps: 3, batch: 16, dim: 16, width: 24}}
captioners:
  few:  {kind: small, encoder: small, steps: 3, items: 8, texts: 2, samples: 2}
  many: {kind: small, encoder: small, steps: 3, items: 8, texts: 2, samples: 5}
  cool: {kind: small, encoder: small, steps: 3, items: 8, texts: 2, samples: 2, temperature: 0.1}
tasks: [{dataset: sounds, encoder: small}]
retrievers:
  few:  {kind: caption_match, captioner: few}
  many: {kind: caption_match, captioner: many}
  cool: {kind: caption_match, captioner: cool}
  other: {kind: caption_match, captioner: {kind: small, encoder: small, steps: 4, items: 8, texts: 2}}
  tuned: {kind: dual_tuned, captioner: many, steps: 2, batch: 8}
  kept:  {kind: dual_tower, start: tuned}
"""


def test_it_is_trained_once_however_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE)
    done = harness(tmp_path / "cache", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out", "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert {record["status"] for record in records(tmp_path / "out").values()} == {"ok"}
    made = [json.loads(path.read_text()) for path in (tmp_path / "cache").glob("captioner/*/manifest.json")]
    assert sorted(each["config"]["about"]["steps"] for each in made) == [3, 4]
    captions = list((tmp_path / "cache").glob("captions/*/manifest.json"))
    assert len(captions) == 4, "each has captions of its own"
    made = [json.loads(path.read_text()) for path in (tmp_path / "cache").glob("retriever/*/manifest.json")]
    kinds = [each["config"]["about"]["kind"] for each in made]
    assert kinds.count("dual_tuned") == 1, "whose captions it learns from is told beside it, inside another or alone"
    planned = harness(tmp_path / "cache", "plan", tmp_path / "suite.yaml")
    assert "all that has to be made is in the store" in planned.stdout, planned.stdout

"""Published figures of the same checkpoint and split: agrees, differs, or isn't the same question."""

from __future__ import annotations

from typing import Any

import pytest
from folders import FIRST

from harness.report import reproduction
from harness.report.published import figures
from harness.results import rows as results
from harness.store import record

CLIP = {"kind": "clip", "checkpoint": "openai/clip-vit-base-patch32", "precision": "fp32"}
FOUND = {1: 58.78, 5: 83.56, 10: 90.02}


def row(recall: dict[int, float], encoder: Any = CLIP, items: int = 1000, **changes: Any) -> results.Row:
    found: Any = record.load(FIRST)
    retriever = changes.pop("retriever", {"kind": "dual_tower", "index": "exact"})
    found["config"] = {"dataset": {"kind": "flickr30k"}, "encoder": encoder, "retriever": retriever}
    found["data"] |= {"items": items, "queries": 5 * items}
    metrics: Any = {f"hit@{k}": {"value": each / 100, "low": None, "high": None} for k, each in recall.items()}
    fields: dict[str, Any] = {"task": "flickr30k/test/text-image", "retriever": "dual-exact", "paradigm": "dual-tower"}
    fields |= {"status": "ok", "reason": "", "seeds": (0,), "sessions": ("s",), "metrics": metrics, **changes}
    return results.Row(records=(found,), **fields)


def verdicts(*rows: results.Row) -> list[str]:
    return [each.verdict for each in reproduction.reproduced(rows)]


def test_the_same_figures_agree_and_a_point_more_or_less_is_told() -> None:
    assert verdicts(row(FOUND)) == verdicts(row({1: 58.5, 5: 83.9, 10: 90.2})) == ["agrees"]
    assert verdicts(row({**FOUND, 5: 81.06})) == ["differs by -2.5 points at R@5"]
    assert verdicts(row({1: 58.78})) == ["agrees"], "of what was measured"


@pytest.mark.parametrize(
    "encoder",
    [
        {"kind": "open_clip", "architecture": "ViT-B-32", "pretrained": "openai"},
        {"kind": "open_clip", "pretrained": "hf-hub:timm/vit_base_patch32_clip_224.openai"},
        {"kind": "clip", "checkpoint": "openai/clip-vit-base-patch32@main"},
    ],
)
def test_a_checkpoint_has_several_names(encoder: dict[str, Any]) -> None:
    assert verdicts(row(FOUND, encoder)) == ["agrees"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"items": 987}, "987 candidates instead of 1,000"),
        ({"encoder": {**CLIP, "precision": "bf16"}}, "precision bf16"),
        ({"asked": 200}, "200 queries instead of 5,000"),
    ],
)
def test_what_differs_in_protocol_is_named(changes: dict[str, Any], words: str) -> None:
    (verdict,) = verdicts(row({**FOUND, 1: 60.0}, **changes))
    assert verdict.startswith(f"not the same protocol: {words}") and "R@1 differs by +1.2 points" in verdict


@pytest.mark.parametrize(
    "changes",
    [
        {"retriever": {"kind": "dual_tower", "index": "HNSW32,Flat"}},
        {"retriever": {"kind": "cart"}},
        {"encoder": {"kind": "small"}},
        {"encoder": {**CLIP, "checkpoint": "nobody/nothing"}},
        {"task": "flickr30k/validation/text-image"},
        {"task": "flickr30k/test/image-text"},
        {"status": "failed"},
    ],
)
def test_nothing_else_is_held_against_a_published_figure(changes: dict[str, Any]) -> None:
    assert verdicts(row(FOUND, **changes)) == []


def test_the_table_has_both_and_the_source() -> None:
    page = reproduction.markdown(reproduction.reproduced([row(FOUND)]))
    assert "| R@1 | 58.78 | 58.78 | open_clip, its table of zero-shot retrieval |" in page
    assert "beside open_clip, its table of zero-shot retrieval: agrees." in page


def test_every_checkpoint_that_is_named_has_its_number_of_candidates() -> None:
    named = [each for each in figures() if each.checkpoints]
    assert len(named) >= 8 and all(each.items and each.paradigm == "dual-tower" for each in named)

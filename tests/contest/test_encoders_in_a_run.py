"""Encoders from elsewhere in a whole run: who is there is measured, who can't be had costs nobody else anything."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_checkpoints
from runs import harness, records

from harness.data.datasets.shapes import Shapes, ShapesSettings

SUITE = """\
name: elsewhere
k: [1, 5]
scenarios: {offline: {rounds: 2, cap_s: 5}, single: {queries: 4, cap_s: 2}}
datasets:
  pictures: {kind: shapes, train: 8, validation: 16, test: 40}
  sounds:   {kind: soundscapes, train: 8, validation: 16, test: 10}
encoders:
  clip:   {kind: clip, checkpoint: HERE/clip}
  clap:   {kind: clap, checkpoint: HERE/clap}
  absent: {kind: clip, checkpoint: nobody/nothing}
  cut:    {kind: clip, checkpoint: HERE/cut}
  laion:  {kind: laion_clap, checkpoint: HERE/nowhere.pt}
  theirs: {kind: precomputed, media: HERE/media.npz, text: HERE/text.npz}
  rows:   {kind: precomputed, media: HERE/media.npy, text: HERE/text.npy, split: test}
  nan:    {kind: precomputed, media: HERE/nan.npz, text: HERE/text.npz}
tasks:
  - {dataset: pictures, encoder: clip}
  - {dataset: sounds, encoder: clap, direction: [text-audio, audio-text]}
retrievers:
  clip:     {kind: dual_tower, tasks: "pictures/*"}
  tuned:    {kind: dual_tower, index: "IVF4,Flat", tune: {recall: [0.9, 1.0]}, tasks: "pictures/*"}
  clap:     {kind: dual_tower, index: "HNSW8,Flat", tasks: "sounds/*"}
  absent:   {kind: dual_tower, encoder: absent, tasks: "pictures/*"}
  cut:      {kind: dual_tower, encoder: cut, tasks: "pictures/*"}
  laion:    {kind: dual_tower, encoder: laion, tasks: "sounds/*"}
  theirs:   {kind: dual_tower, encoder: theirs, tasks: "pictures/*"}
  rows:     {kind: dual_tower, encoder: rows, tasks: "pictures/*"}
  nan:      {kind: dual_tower, encoder: nan, tasks: "pictures/*"}
  mistaken: {kind: dual_tower, index: PQ4, tasks: "pictures/*"}
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("elsewhere")
    for name in ("clip", "clap", "cut"):
        (here / name).mkdir()
    tiny_checkpoints.clip(here / "clip")
    tiny_checkpoints.clap(here / "clap")
    weights = tiny_checkpoints.clip(here / "cut") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:3000])
    split = Shapes(ShapesSettings(train=8, validation=16, test=40)).split("test")
    media = np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32)
    text = media[split.owner]  # every caption is its picture's vector: they are all found
    broken = media.copy()
    broken[3, 2] = np.nan
    captions = list(dict.fromkeys(split.captions))
    unique = np.stack([text[list(split.captions).index(caption)] for caption in captions])
    for name, rows, names in (
        ("media", media, split.item_names),
        ("nan", broken, split.item_names),
        ("text", unique, captions),
    ):
        np.savez(here / f"{name}.npz", vectors=rows, names=np.array(list(names)))
    np.save(here / "media.npy", media)
    np.save(here / "text.npy", text)
    (here / "suite.yaml").write_text(SUITE.replace("HERE", str(here)))
    done = harness(here / "cache", "run", here / "suite.yaml", "--out", here / "out", "--threads", 1, timeout=300)
    assert done.returncode == 1, done.stderr  # one cell fails: the one that tunes what can't be tuned
    assert "Traceback" not in done.stderr
    return here / "out"


def test_all_who_can_be_had_are_measured(out: Path) -> None:
    found = {name.partition(".")[2]: record for name, record in records(out).items() if record["status"] == "ok"}
    assert {name.rpartition(".")[0] for name in found} == {
        "clip",
        "tuned@recall=0.9",
        "tuned@recall=1.0",
        "clap",
        "theirs",
        "rows",
    }
    for record in found.values():
        assert record["speed"]["offline"]["qps"]["median"] > 0
        assert {"encode", "search"} <= record["speed"]["offline"]["stages"].keys()
        expected = "validation" if record["dataset"] == "sounds" else "own"  # one encoder there knows no other queries
        assert record["speed"]["offline"]["warm_up"] == expected
    assert found["clip.0"]["config"]["encoder"]["precision"] == "fp32"
    assert found["theirs.0"]["metrics"]["hit@5"]["value"] > 0.9
    assert found["rows.0"]["metrics"]["hit@1"]["value"] == 1.0
    told = found["tuned@recall=1.0.0"]["details"]
    assert told["tuned"]["recall"] == 1.0
    assert told["engine"] == "faiss on cpu"
    assert found["clip.0"]["details"]["engine"] == "torch on cpu"


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("absent", "unavailable", "weights get nobody/nothing"),
        ("cut", "failed", "can't load it"),
        ("laion", "unavailable", ""),  # with the package or without it: no checkpoint
        ("nan", "failed", "nan.npz: row 3 holds NaN"),
        ("mistaken", "failed", "can't be built from"),
    ],
)
def test_who_cannot_be_had_says_why(out: Path, name: str, status: str, words: str) -> None:
    mine = [record for record in records(out).values() if record["retriever"] == name]
    assert mine
    for record in mine:
        assert record["status"] == status
        assert words in record["reason"]
        assert ("Traceback" in record["reason"]) == (name == "mistaken")  # a user's file needs no traceback


def test_embeddings_are_artifacts_with_their_cost(out: Path) -> None:
    store = out.parent / "cache"
    manifests = [json.loads(path.read_text()) for path in store.rglob("embeddings/*/manifest.json")]
    assert len(manifests) >= 4
    for manifest in manifests:
        assert list(manifest["files"]) == ["vectors.npy"]
        assert sum(manifest["seconds"].values()) > 0
    assert not list(store.rglob("unfinished/*"))

"""What a run keeps for people to look at: media of the queries that are shown, the odds of generated answers, a map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from runs import harness, records

from harness.score import neighbours
from harness.store import maps

SUITE = """
name: look
k: [1, 5]
seeds: [1, 0]
scenarios: {offline: {rounds: 2, cap_s: 5}}
datasets: {sounds: {kind: soundscapes, train: 48, validation: 16, test: 52}}
encoders: {small: {kind: small, trained_on: sounds, steps: 3, batch: 16, dim: 16}}
captioners: {small: {kind: small, encoder: small, steps: 3, items: 8, texts: 2, samples: 2}}
tasks: [{dataset: sounds, encoder: small, captioner: small, direction: [text-audio, audio-text]}]
retrievers:
  dual: {kind: dual_tower}
  cart: {kind: cart, steps: 2, batch: 16, clusters: 4, codes: 4, width: 48, layers: 1, tasks: "*/text-audio"}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("look")
    (folder / "look.yaml").write_text(SUITE)
    done = harness(folder / "cache", "run", folder / "look.yaml", "--out", folder / "out", "--threads", 1, tables="all")
    assert done.returncode == 0, done.stderr
    assert "to look at:" not in done.stderr
    return folder / "out"


def test_both_directions_share_the_media(ran: Path) -> None:
    there, back = (
        json.loads((ran / f"media/sounds_test_{way}.json").read_bytes()) for way in ("text-audio", "audio-text")
    )
    assert len(there["candidates"]) == 52 == len(back["queries"]) and there["queries"] == {} == back["candidates"]
    assert set(there["candidates"].values()) == set(back["queries"].values())
    assert there["shown"] == list(range(260)) and back["shown"] == list(range(52))
    for name in there["candidates"].values():
        assert all((ran / f"media/{name}{ending}").stat().st_size > 100 for ending in (".webp", ".ogg"))


def test_odds_are_of_the_answers_that_are_shown(ran: Path) -> None:
    paths = sorted((ran / "odds").glob("*.npz"))
    path = paths[0]
    assert len(paths) == 2 and path.stem in records(ran)
    with np.load(path) as odds, np.load(ran / "rankings" / path.name) as ranking:
        assert odds["identifiers"].shape[0] == 52 and odds["query"].tolist() == list(range(260))
        product = np.log(odds["odds"].astype(float)).sum(2)
        scores, there = ranking["scores"][:, : product.shape[1]], ranking["ids"][:, : product.shape[1]] >= 0
        assert there.any() and np.abs(product - scores)[there].max() < 0.05, "half precision"


def test_a_map_of_the_candidates_is_kept_in_the_first_seed(ran: Path) -> None:
    (path,) = (ran / "maps").glob("*.npz")
    found = maps.read(path)
    assert path.stem.endswith("text-audio.cart.1") and found is not None
    assert found.positions.tolist() == list(range(52)) and found.places.shape == (52, 2)
    with np.load(ran / "odds" / path.name) as odds:
        assert np.array_equal(odds["identifiers"], found.tokens)
    assert 0 <= found.shared <= 1 and found.chance == neighbours.chance(found.tokens[:, 0])
    page = (ran / "report.html").read_text()
    assert "Whether identifiers follow the vectors" in page and "share the first token" in page

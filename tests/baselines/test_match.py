"""The joint transformer: it begins where the dual tower ends, learns from there, and keeps what validation liked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from kit import Kit

from baselines.dual_tower import DualTower
from baselines.encoders.features import Shape
from baselines.encoders.towers import MediaTower, TextTower
from baselines.settings import DualTowerSettings
from baselines.single_tower import match as module
from baselines.single_tower.joint import Joint
from baselines.single_tower.match import Match, drawn
from baselines.single_tower.settings import MatchSettings
from harness.contract.dataset import Pairs, Unavailable
from harness.nn.words import Vocabulary

NOTHING = Pairs.empty("text", "audio")


def made(kit: Kit, steps: int = 0, **settings: int) -> Match:
    return Match(
        MatchSettings(**{"steps": steps, "items": 32, "negatives": 5, "lr": 2e-3, "layers": 1} | settings),
        encoder=kit.encoder,
        seed=0,
    )


def test_untrained_it_is_the_dual_tower(tiny: Callable[[str], Kit]) -> None:
    kit = tiny("audio")
    pairs = kit.test("text-audio")
    match, dual = made(kit), DualTower(DualTowerSettings(), encoder=kit.encoder, seed=0)
    match.fit(*kit.training("text-audio"))
    for each in (match, dual):
        each.index(pairs.candidates)
    ours, theirs = (each.search(pairs.queries[:20], 40) for each in (match, dual))
    assert np.allclose(ours.scores, np.exp(3.0) * theirs.scores, atol=1e-4)
    assert (ours.ids == theirs.ids).mean() > 0.99


def test_it_learns_more_than_the_cosine_knows(tiny: Callable[[str], Kit]) -> None:
    kit = tiny("audio")
    train, _ = kit.training("text-audio")
    mine = np.flatnonzero(train.links.targets < 12)
    few = Pairs(train.queries[mine], train.candidates[:12], train.links.take(mine))
    reciprocal = []
    for steps in (0, 40):
        match = made(kit, steps, items=12, negatives=11)
        match.fit(few, NOTHING)
        match.index(few.candidates)
        ids = match.search(few.queries, 12).ids
        reciprocal.append(float((1 / (1 + (ids == few.links.targets[:, None]).argmax(axis=1))).mean()))
    assert reciprocal[1] > 1.5 * reciprocal[0], reciprocal


def test_the_weights_that_validation_liked_best_are_kept(
    tiny: Callable[[str], Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = tiny("audio")
    seen: list[dict[str, torch.Tensor]] = []
    liked = iter([0.1, 0.3, 0.2])

    def told(checks: module._Validation) -> float:
        seen.append({name: each.clone() for name, each in checks.joint.state_dict().items()})
        return next(liked)

    monkeypatch.setattr(module._Validation, "_reciprocal", told)
    monkeypatch.setattr(module, "LEAST_BETWEEN", 2)
    match = made(kit, 3, items=8)
    match.fit(*kit.training("text-audio"))
    assert len(seen) == 3  # before the first step, after the second and at the last
    assert all(torch.equal(each, seen[1][name]) for name, each in match._trained.items())
    assert not torch.equal(seen[1]["head.2.weight"], seen[2]["head.2.weight"])


def test_the_reciprocal_rank_is_that_of_search(tiny: Callable[[str], Kit], monkeypatch: pytest.MonkeyPatch) -> None:
    kit = tiny("audio")
    train, validation = kit.training("text-audio")
    monkeypatch.setattr(module, "TRIED", 10_000)
    match = made(kit, 5)
    match.fit(train, NOTHING)
    match.index(validation.candidates)
    ids = match.search(validation.queries, 16).ids
    ranks = 1 + (ids == validation.links.targets[:, None]).argmax(axis=1)
    match.joint.eval()
    assert module._Validation(match, validation)._reciprocal() == pytest.approx((1 / ranks).mean(), abs=1e-3)


def test_negatives_are_those_the_dual_tower_finds_alike() -> None:
    similar = torch.full((12, 12), -20.0)
    similar[:, :3] = 20.0
    chosen = drawn(similar, 2, np.random.default_rng(0))
    assert chosen[:, 0].tolist() == list(range(12)), "the right one comes first"
    assert all(set(row[1:]) <= {0, 1, 2} for row in chosen[3:].tolist())
    assert drawn(similar, 50, np.random.default_rng(0)).shape == (12, 12)
    often = np.bincount(drawn(torch.zeros(2000, 12)[:12].clone(), 1, np.random.default_rng(1))[:, 1], minlength=12)
    assert often.max() < 6, "all alike: none is preferred"


@pytest.mark.parametrize(("width", "heads"), [(24, 1), (48, 1), (96, 2)])
def test_narrow_towers_have_one_head_at_least(width: int, heads: int) -> None:
    text = TextTower(9, 5, 16, width)
    text.vocabulary = Vocabulary(tuple("abcdef"), 5)  # type: ignore[assignment]
    joint = Joint(text, MediaTower(Shape("image", 3, 24, 24), 16, width), layers=1)  # type: ignore[arg-type]
    keyvalue = joint.patches(torch.rand(2, 3, 24, 24))[:, 0]
    states = joint.layers[0].cross(torch.rand(2, 5, width), torch.ones(2, 5, dtype=torch.bool), keyvalue)
    assert states.shape == (2, 5, width) and joint.layers[0].heads == heads


def test_another_encoder_is_refused() -> None:
    with pytest.raises(Unavailable, match="kind small"):
        made(type("Other", (), {"encoder": object()})())  # type: ignore[arg-type]

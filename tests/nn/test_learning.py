"""The optimiser that everyone shares: who moves by which rule, and how rates rise and fall."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from harness.nn.learning import MATRICES, Apart, Learner, schedule


def test_the_rate_rises_and_falls() -> None:
    rates = [schedule(step, 100, 0.1) for step in range(100)]
    assert np.argmax(rates) in (9, 10) and max(rates) == 1 and 0 < rates[0] <= 0.1 and 0 < rates[-1] < 0.01
    assert all(0 < schedule(step, 3, 0.1) <= 1 for step in range(3))


def test_matrices_of_linear_layers_move_by_muon_and_the_rest_by_adamw() -> None:
    words, linear, head, lent = nn.Embedding(9, 4), nn.Linear(4, 6), nn.Linear(6, 9), nn.Linear(6, 6)
    lent.requires_grad_(False)
    scale = nn.Parameter(torch.ones(()))
    module = nn.Sequential(words, linear, lent, head)
    learner = Learner("it", [module], 0.01, 10, apart=[Apart([scale], 10)], heads=[head])
    adam, muon = learner.optimizers
    assert isinstance(muon, torch.optim.Muon) and muon.param_groups[0]["params"] == [linear.weight]
    common, alone = adam.param_groups
    assert {id(p) for p in common["params"]} == {id(words.weight), id(linear.bias), id(head.weight), id(head.bias)}
    assert alone["params"] == [scale] and alone["weight_decay"] == 0
    learner.prepare(0)
    assert [group["lr"] for each in learner.optimizers for group in each.param_groups] == [0.01, 0.1, 0.01 * MATRICES]
    before, kept = linear.weight.clone(), lent.weight.clone()
    learner.learn(1, scale * module(torch.arange(9)).square().mean())
    assert not torch.equal(before, linear.weight) and torch.equal(kept, lent.weight) and scale != 1


def test_it_learns_a_linear_map() -> None:
    torch.manual_seed(0)
    goal, layer = torch.randn(8, 5), nn.Linear(8, 5, bias=False)
    learner = Learner("it", [layer], 5e-3, 200, decay=0.0)
    for step in range(200):
        x = torch.randn(64, 8)
        loss = (layer(x) - x @ goal).square().mean()
        learner.learn(step, loss)
    assert loss < 0.01


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_training_stops_at_the_first_loss_that_is_no_number(value: float) -> None:
    layer = nn.Linear(4, 1)
    learner = Learner("a linear map", [layer], 1e-3, 20)
    for step in range(7):
        learner.learn(step, layer(torch.ones(4)).square().mean())
    before = layer.weight.clone()
    with pytest.raises(FloatingPointError, match=r"training a linear map: the loss is -?(nan|inf) at step 8 of 20"):
        learner.learn(7, layer(torch.ones(4)).mean() * value)
    assert torch.equal(layer.weight, before), "and nothing has moved by it"

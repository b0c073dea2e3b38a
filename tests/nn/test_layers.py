"""Bricks that everyone learns with: what is masked counts for nothing, whatever stands there."""

from __future__ import annotations

import math

import torch

from harness.nn.layers import masked_mean


def test_what_is_masked_is_not_in_the_mean_even_if_it_is_no_number() -> None:
    torch.manual_seed(0)
    mask = torch.tensor([[True, True, False], [True, False, False], [False, False, False]])
    x = torch.randn(3, 3, 4).masked_fill(~mask[..., None], math.nan).requires_grad_()
    found = masked_mean(x, mask)
    assert torch.allclose(found[0], x[0, :2].mean(0)) and torch.allclose(found[1], x[1, 0])
    assert (found[2] == 0).all(), "the mean of nothing"
    found.sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_the_mean_is_of_the_kind_of_the_states() -> None:
    assert masked_mean(torch.ones(1, 2, 3, dtype=torch.bfloat16), torch.ones(1, 2).bool()).dtype == torch.bfloat16

"""The optimiser of all that is trained here: one for all, so that no contestant has a better one.

The matrices of linear layers are trained by Muon (Jordan et al., 2024), whose steps have the same size in all
directions of a matrix; everything else, and the layers that end in a vocabulary, by AdamW. Rates rise linearly, then
fall along half a cosine. Muon needs about half as many steps as AdamW, each at nearly the same price.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from harness.machine import compute

MATRICES = 20  # Muon's rate in terms of AdamW's


@dataclass(frozen=True)
class Apart:
    """Parameters with a rate of their own, in terms of the common one, and without decay."""

    parameters: Sequence[nn.Parameter]
    rate: float = 1.0


def require_finite(what: str, step: int, steps: int, loss: float) -> None:
    """A loss that has diverged doesn't recover: training stops, and nothing of it is stored."""
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"training {what}: the loss is {loss} at step {step + 1} of {steps}, so nothing of it is stored: lower the "
            "lr, or look for NaN and infinity in what it learns from"
        )


class Learner:
    """Both optimisers as one: `prepare` a step, compute gradients, `take` it. `what` is trained, for messages."""

    def __init__(
        self,
        what: str,
        modules: Sequence[nn.Module],
        lr: float,
        steps: int,
        *,
        apart: Sequence[Apart] = (),
        heads: Sequence[nn.Module] = (),
        warmup: float = 0.1,
        decay: float = 0.01,
        clip: float | None = 1.0,
    ) -> None:
        self.what, self.step, self.steps, self.warmup, self.clip = what, 0, steps, warmup, clip
        matrices = _matrices(modules, heads)
        known = {id(parameter) for parameter in matrices}
        trained = [p for module in modules for p in module.parameters() if p.requires_grad]
        rest = [parameter for parameter in trained if id(parameter) not in known]
        self.clipped = trained
        groups: list[dict[str, Any]] = [{"params": rest, "lr": lr}] if rest else []
        groups += [{"params": list(each.parameters), "lr": lr * each.rate, "weight_decay": 0.0} for each in apart]
        self.optimizers: list[torch.optim.Optimizer] = []
        if groups:
            self.optimizers.append(torch.optim.AdamW(groups, lr=lr, weight_decay=decay, betas=(0.9, 0.98)))
        if matrices:
            self.optimizers.append(Muon(matrices, lr=MATRICES * lr, weight_decay=decay))
        self.rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]

    def prepare(self, step: int) -> None:
        self.step = step
        share = schedule(step, self.steps, self.warmup)
        for optimizer, rates in zip(self.optimizers, self.rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * share
            optimizer.zero_grad(set_to_none=True)

    def take(self, loss: Tensor) -> None:
        """Move by the gradients of this loss."""
        require_finite(self.what, self.step, self.steps, loss.item())
        if self.clip:
            nn.utils.clip_grad_norm_(self.clipped, self.clip)
        for optimizer in self.optimizers:
            optimizer.step()

    def learn(self, step: int, loss: Tensor) -> None:
        self.prepare(step)
        loss.backward()
        self.take(loss)


class Muon(torch.optim.Muon):
    """PyTorch's, whose iteration always rounds to bfloat16: twenty times slower on a processor that has none."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        dtype = compute.training_dtype()
        for group in self.param_groups:
            for parameter in (p for p in group["params"] if p.grad is not None):
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter.grad)
                momentum = state["momentum_buffer"].lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonal(parameter.grad.lerp(momentum, group["momentum"]), group, dtype)
                rows, columns = parameter.shape
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * math.sqrt(max(1.0, rows / columns)))


def orthogonal(matrix: Tensor, settings: Mapping[str, Any], dtype: torch.dtype) -> Tensor:
    """Nearly the nearest matrix whose singular values are all 1, by Newton and Schulz's iteration."""
    a, b, c = settings["ns_coefficients"]
    x = matrix.to(dtype)
    if x.shape[0] > x.shape[1]:
        x = x.T
    x = x / x.norm().clamp(min=settings["eps"])
    for _ in range(settings["ns_steps"]):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def schedule(step: int, steps: int, warmup: float) -> float:
    """The share of the full rate: a linear rise, then half a cosine down to 0."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def _matrices(modules: Sequence[nn.Module], heads: Sequence[nn.Module]) -> list[nn.Parameter]:
    """The weights of linear layers, except those that end in a vocabulary."""
    last = {id(head.weight) for head in heads}
    parts = [part for module in modules for part in module.modules() if isinstance(part, nn.Linear)]
    weights = [cast(nn.Parameter, part.weight) for part in parts]
    return [weight for weight in weights if weight.requires_grad and id(weight) not in last]

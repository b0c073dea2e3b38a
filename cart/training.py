"""Training the model to generate the identifier that a query asks for.

The paper's: cross-entropy of the tokens + ω × the KL divergence, both ways, between two passes with different dropout
(R-Drop; Liang et al., 2021). Ours: cross-entropy among the children that the tree has (`legal`) instead of a level's
whole vocabulary (`full`), the schedule, and checkpoints from which training goes on to the very same weights.

A `Batch` is queries, and how likely each is meant for which candidates. Odds are summed along the tree: one candidate
is drawn, its path is followed, and at each node of the path the children's shares are the target.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from cart.batches import Batch, Draw
from cart.decoding import children, gains, leaning
from cart.model import CART
from cart.trie import Trie
from harness.machine import compute, files
from harness.machine.progress import say, track
from harness.nn.batching import by_length, lengths, trim
from harness.nn.layers import below, once
from harness.nn.learning import Learner

CHECKPOINT = "training.sealed"  # a line of facts, then tensors
PARTS = 2  # of a batch, by length: more would save padding, and lose more by being small
NEVER = -1e9  # log-probability of children that don't exist: with -inf a divergence would hold 0 · inf


@dataclass(frozen=True)
class Plan:
    steps: int
    batch: int
    lr: float
    loss: Literal["legal", "full"]
    consistency: float  # ω; 0 saves the second pass
    seed: int
    warmup: float = 0.1  # the share of the steps on which the rate rises
    weight_decay: float = 0.01
    clip: float = 1.0
    checkpoint: int = 200  # steps between two checkpoints


class Loss(NamedTuple):
    total: Tensor
    right: Tensor  # the share of queries whose first token came out right


def train(
    model: CART,
    trie: Trie,
    draw: Draw,
    plan: Plan,
    folder: Path | None = None,
    subject: str = "",
) -> float:
    """Train in place. With a folder, checkpoints go there, and a run that was cut off goes on where it stopped.

    `subject` names everything else that the outcome depends on (data, identifiers): only a checkpoint of the same one
    is resumed. Returns the seconds that earlier runs spent on what was resumed.
    """
    device = model.start.device
    trie = trie.on(str(device))
    paths = torch.from_numpy(trie.paths()).long().to(device)
    tokens = torch.from_numpy(trie.identifiers()).long().to(device)
    heads = list(model.heads) if isinstance(model.heads, nn.ModuleList) else []
    learner = Learner(
        "CART",
        [model],
        plan.lr,
        plan.steps,
        heads=heads,
        warmup=plan.warmup,
        decay=plan.weight_decay,
        clip=plan.clip,
    )
    name = files.digest({"plan": asdict(plan), "subject": subject})
    done, earlier = _resume(folder / CHECKPOINT, name, model, learner) if folder else (0, 0.0)
    begun = time.perf_counter()
    shown = {"loss": math.nan, "first token": math.nan}

    def note() -> str:
        return f"loss {shown['loss']:.2f}, first token {100 * shown['first token']:.0f} %"

    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for step in track(range(done, plan.steps), "training CART", note=note):
            # Reseeded at every step, so that checkpoints need no random state.
            torch.manual_seed(_mixed(plan.seed, step))
            rng = np.random.default_rng((plan.seed, step))
            meant = Meant.of(draw(rng, plan.batch), rng, paths, tokens)
            learner.prepare(step)
            loss = backward(model, trie, meant, plan)
            learner.take(loss.total)
            if step % 10 == 0 or step + 1 == plan.steps:
                shown = {"loss": loss.total.item(), "first token": loss.right.item()}
            if folder and ((step + 1) % plan.checkpoint == 0 or step + 1 == plan.steps):
                spent = earlier + time.perf_counter() - begun
                _keep(folder / CHECKPOINT, name, model, learner, {"step": step + 1, "seconds": spent})
    model.eval()
    return earlier


class Meant(NamedTuple):
    """A batch on the tree: the path of one candidate, and the odds of all others at each of its nodes."""

    texts: Tensor  # (n, L)
    tokens: Tensor  # (n, levels) of the candidate that is followed
    paths: Tensor  # (n, levels): its nodes
    others: Tensor  # (n, m, levels): the nodes of all candidates that the text may be meant for
    named: Tensor  # (n, m, levels): and their tokens
    odds: Tensor  # (n, m)

    @staticmethod
    def of(batch: Batch, rng: np.random.Generator, paths: Tensor, tokens: Tensor) -> Meant:
        reached = np.cumsum(batch.odds, axis=1, dtype=np.float64)
        place = (reached < rng.random((len(reached), 1)) * reached[:, -1:]).sum(axis=1)
        ids = torch.from_numpy(np.asarray(batch.ids, np.int64)).to(paths.device)
        followed = ids[torch.arange(len(ids)), torch.from_numpy(place)]
        odds = torch.from_numpy(np.asarray(batch.odds, np.float32)).to(paths.device)
        return Meant(batch.texts, tokens[followed], paths[followed], paths[ids], tokens[ids], odds)

    def part(self, rows: np.ndarray) -> Meant:
        chosen = torch.from_numpy(rows).to(self.tokens.device)
        return Meant(trim(self.texts[rows]).to(chosen.device), *(each[chosen] for each in self[1:]))

    def twice(self) -> Meant:
        return Meant(*(each.repeat(2, *[1] * (each.ndim - 1)) for each in self))

    def below(self, trie: Trie, level: int) -> tuple[Tensor, Tensor]:
        """The children (n, 1, M) of the path's node above `level`, and which are real."""
        return children(trie, level, self.paths[:, level - 1 : level] if level else torch.zeros_like(self.paths[:, :1]))

    def shares(self, level: int) -> Tensor:
        """The odds of each candidate below the path's node above `level`: (n, m), rows sum to 1."""
        below = self.odds
        if level:
            below = below.masked_fill(self.others[:, :, level - 1] != self.paths[:, level - 1, None], 0)
        return below / below.sum(1, keepdim=True)


def backward(model: CART, trie: Trie, meant: Meant, plan: Plan) -> Loss:
    """The mean loss of a batch; its gradients are left in the model, summed over parts by length."""
    mean = Loss(*torch.zeros(2, device=meant.tokens.device))
    for rows in by_length(lengths(meant.texts), -(-len(meant.texts) // PARTS)):
        with compute.half_precision():
            found = losses(model, trie, meant.part(rows), plan)
        weight = len(rows) / len(meant.texts)
        (weight * found.total).backward()
        mean = Loss(mean.total + weight * found.total.detach(), mean.right + weight * found.right)
    return mean


def losses(model: CART, trie: Trie, meant: Meant, plan: Plan) -> Loss:
    passes = 2 if plan.consistency else 1
    together = passes if model.same_encoding else 1
    doubled = meant.twice() if passes == 2 else meant
    encoded = meant if together == passes else doubled
    state, _ = model.begin(encoded.texts)
    total, right = torch.zeros((), device=meant.tokens.device), torch.ones(())
    for level, logits in enumerate(model(state, encoded.tokens, together)):
        if plan.loss == "full":
            if model.geometry is not None:
                logits = leaning(model, state, logits[:, None], trie, level, *doubled.below(trie, level))[:, 0]
            likely, answers = logits.float().log_softmax(-1), doubled.named[:, :, level]  # (n, V), (n, m)
        else:
            child, real = doubled.below(trie, level)
            likely = gains(model, state, logits[:, None], trie, level, child, real, "legal")[:, 0]  # (n, M)
            likely = likely.masked_fill(~real[:, 0], NEVER)
            answers = (doubled.others[:, :, level] - child[:, 0, :1]).clamp(
                0, likely.shape[1] - 1
            )  # odds are 0 elsewhere
        goal = torch.zeros_like(likely).scatter_add_(1, answers, doubled.shares(level))
        total = total - (goal * likely).sum(1).mean()
        if passes == 2:
            total = total + plan.consistency * disagreement(*likely.chunk(2))
        if level == 0:
            right = (likely.argmax(1) == goal.argmax(1)).float().mean()
    return Loss(total, right)


def disagreement(one: Tensor, other: Tensor) -> Tensor:
    """The mean of KL(p‖q) and KL(q‖p) of log-probabilities (n, M)."""
    return ((one.exp() - other.exp()) * (one - other)).sum(1).mean() / 2


# -- checkpoints: one file, whole or not at all -----------------------------------------------------------------------


def _mixed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _keep(path: Path, name: str, model: CART, learner: Learner, done: dict[str, float]) -> None:
    tensors = {f"model.{key}": tensor for key, tensor in once(model.state_dict()).items()}
    for which, optimizer in enumerate(learner.optimizers):
        for number, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{which}.{number}.{key}": value for key, value in moments.items()}
    data = save({key: tensor.contiguous() for key, tensor in tensors.items()})
    try:
        files.write_sealed(path, json.dumps({"name": name, **done}).encode() + b"\n" + data)
    except OSError as error:
        say(
            f"    no checkpoint at step {done['step']} ({error}): training goes on, and if cut off resumes from the "
            "one before"
        )


def _resume(path: Path, name: str, model: CART, learner: Learner) -> tuple[int, float]:
    """The number of steps that are done already, and the seconds that they took."""
    if not path.exists():
        return 0, 0.0
    try:
        head, _, data = files.read_sealed(path).partition(b"\n")
        facts = json.loads(head)
        if facts["name"] != name:
            return 0, 0.0
        tensors = load(data)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        say(f"    {path} can't be resumed ({error}): training starts from the beginning")
        return 0, 0.0
    model.load_state_dict({**model.state_dict(), **below(tensors, "model")})
    moments: list[dict[int, dict[str, Any]]] = [{} for _ in learner.optimizers]
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, which, number, what = key.split(".")
            moments[int(which)].setdefault(int(number), {})[what] = value
    for optimizer, state in zip(learner.optimizers, moments, strict=True):
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return int(facts["step"]), float(facts.get("seconds", 0.0))

"""Teaching the model which identifier a query asks for.

The paper's: cross-entropy of the tokens + ω × the KL divergence, both ways, between two passes with different dropout
(R-Drop; Liang et al., 2021). Ours: cross-entropy among the children that the tree has (`legal`) instead of a level's
whole vocabulary (`full`), the schedule, and checkpoints from which training goes on to the very same weights.

Who trains says what a batch is (`Draw`): captions of the gallery as they come, or any text with a candidate drawn from
a teacher's posterior, which in the long run is distillation: the tree turns a candidate into the tokens of its path.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from cart.decoding import children, gains
from cart.model import CART
from cart.trie import Trie
from harness import compute, files
from harness.layers import lengthwise, trim
from harness.progress import say, track

CHECKPOINT = "training.safetensors"
PARTS = 2  # of a batch, by length: more of them would save padding, and lose more by being small
NEVER = -1e9  # the log-probability of what can't be: -inf would make 0 · inf of its share in a divergence

Draw = Callable[[np.random.Generator, int], tuple[Tensor, np.ndarray]]  # how many → texts (n, L), candidates (n,)


@dataclass(frozen=True)
class Plan:
    steps: int = 1000
    batch: int = 256
    lr: float = 1e-3
    warmup: float = 0.1  # the share of the steps on which the rate rises; then it falls along half a cosine
    weight_decay: float = 0.01
    clip: float = 1.0
    loss: Literal["legal", "full"] = "legal"
    consistency: float = 0.15  # ω; 0 saves the second pass
    checkpoint: int = 200  # steps between two checkpoints
    seed: int = 0


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
    look: Callable[[int], None] | None = None,
) -> float:
    """Train in place. With a folder, checkpoints go there, and a run that was cut off goes on where it stopped.

    `subject` names everything else that the outcome depends on (data, identifiers): a checkpoint of another one is not
    taken up. `look` is called after every `plan.checkpoint` steps and after the last.

    Returns the seconds that runs which were cut off had spent on what was taken up: a cost, though not of this one.
    """
    device = model.start.device
    trie = trie.on(str(device))
    paths = torch.from_numpy(trie.paths()).long().to(device)
    tokens = torch.from_numpy(trie.identifiers()).long().to(device)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=plan.lr, weight_decay=plan.weight_decay, betas=(0.9, 0.98))
    name = files.digest({"plan": asdict(plan), "subject": subject})
    done, earlier = _resume(folder / CHECKPOINT, name, model, optimizer) if folder else (0, 0.0)
    begun = time.perf_counter()
    shown = {"loss": math.nan, "first token": math.nan}

    def note() -> str:
        return f"loss {shown['loss']:.2f}, first token {100 * shown['first token']:.0f} %"

    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for step in track(range(done, plan.steps), "training CART", note=note):
            # Chance is made anew from the seed at every step, so that there is no state of it to be kept.
            torch.manual_seed(_mixed(plan.seed, step))
            texts, rows = draw(np.random.default_rng((plan.seed, step)), plan.batch)
            chosen = torch.from_numpy(np.asarray(rows, np.int64)).to(device)
            for group in optimizer.param_groups:
                group["lr"] = plan.lr * schedule(step, plan)
            optimizer.zero_grad(set_to_none=True)
            loss = backward(model, trie, texts, tokens[chosen], paths[chosen], plan)
            nn.utils.clip_grad_norm_(trained, plan.clip)
            optimizer.step()
            if step % 10 == 0 or step + 1 == plan.steps:
                shown = {"loss": loss.total.item(), "first token": loss.right.item()}
                if not math.isfinite(shown["loss"]):
                    raise FloatingPointError(f"training CART: the loss is {shown['loss']} at step {step}: lower the lr")
            if (step + 1) % plan.checkpoint == 0 or step + 1 == plan.steps:
                if folder:
                    spent = earlier + time.perf_counter() - begun
                    _keep(folder / CHECKPOINT, name, model, optimizer, {"step": step + 1, "seconds": spent})
                if look:
                    model.eval()
                    look(step + 1)
                    model.train()
    model.eval()
    return earlier


def schedule(step: int, plan: Plan) -> float:
    """The share of the full rate: a straight rise, then half a cosine down to nothing."""
    rising = max(1, round(plan.warmup * plan.steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, plan.steps - rising)))


def backward(model: CART, trie: Trie, texts: Tensor, tokens: Tensor, paths: Tensor, plan: Plan) -> Loss:
    """The mean loss of a batch; its gradients are left in the model, summed over parts of texts of a length."""
    mean = Loss(*torch.zeros(2, device=tokens.device))
    for part in lengthwise(texts, PARTS):
        with compute.half_precision():
            found = losses(model, trie, trim(texts[part]).to(tokens.device), tokens[part], paths[part], plan)
        weight = len(part) / len(texts)
        (weight * found.total).backward()
        mean = Loss(mean.total + weight * found.total.detach(), mean.right + weight * found.right)
    return mean


def losses(model: CART, trie: Trie, texts: Tensor, tokens: Tensor, paths: Tensor, plan: Plan) -> Loss:
    """texts (n, L), the true tokens and nodes (n, levels)."""
    passes = 2 if plan.consistency else 1
    together = passes if model.hears_alike else 1
    texts, asked = (x.repeat(passes // together, 1) for x in (texts, tokens))
    tokens, paths = (x.repeat(passes, 1) for x in (tokens, paths))
    state, _ = model.begin(texts)
    total, right = texts.new_zeros((), dtype=torch.float32), torch.ones(())
    for level, logits in enumerate(model(state, asked, together)):
        if plan.loss == "full":
            likely, answer = logits.float().log_softmax(-1), tokens[:, level]  # (n, V)
        else:
            parents = paths[:, level - 1 : level] if level else torch.zeros_like(paths[:, :1])
            child, real = children(trie, level, parents)  # (n, 1, M)
            likely = gains(model, state, logits[:, None], trie, level, child, real, "legal")[:, 0]  # (n, M)
            likely = likely.masked_fill(~real[:, 0], NEVER)
            answer = paths[:, level] - child[:, 0, 0]
        total = total - likely.gather(1, answer[:, None]).mean()
        if passes == 2:
            total = total + plan.consistency * disagreement(*likely.chunk(2))
        if level == 0:
            right = (likely.argmax(1) == answer).float().mean()
    return Loss(total, right)


def disagreement(one: Tensor, other: Tensor) -> Tensor:
    """The mean of KL(p‖q) and KL(q‖p) of log-probabilities (n, M)."""
    return ((one.exp() - other.exp()) * (one - other)).sum(1).mean() / 2


# -- checkpoints: one file, whole or not at all -----------------------------------------------------------------------


def _mixed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _keep(path: Path, name: str, model: CART, optimizer: torch.optim.Optimizer, done: dict[str, float]) -> None:
    tensors = {f"model.{key}": tensor for key, tensor in model.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{key}": value for key, value in moments.items()}
    facts = {"name": name, **done}
    data = save({key: tensor.contiguous() for key, tensor in tensors.items()}, {"facts": json.dumps(facts)})
    try:
        files.write(path, data)
    except OSError as error:
        told = f"no checkpoint at step {done['step']} ({error})"
        say(f"    {told}: training goes on, but if cut off starts from the one before")


def _resume(path: Path, name: str, model: CART, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    """The number of steps that are done already, and the seconds that they took."""
    if not path.exists():
        return 0, 0.0
    try:
        with safe_open(path, "pt") as stored:
            facts = json.loads(stored.metadata()["facts"])
            if facts["name"] != name:
                return 0, 0.0
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118  it is no mapping
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        say(f"    {path} can't be read ({error}): training starts from the beginning")
        return 0, 0.0
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    moments: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, number, what = key.split(".")
            moments.setdefault(int(number), {})[what] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return int(facts["step"]), float(facts.get("seconds", 0.0))

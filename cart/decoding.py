"""Beam search that can only find what exists: every step chooses among the children that the tree has.

Constrained beam search is the paper's. Ours is how it is done: one tensor step a level for all queries and beams, with
no loop over either; levels with vocabularies of their own; and two things that follow from normalising over legal
children instead of the level's whole vocabulary (`legal` and `full`): a step without a choice has probability 1, so a
beam above a single candidate is settled and asks the model nothing more, and the scores of all identifiers sum to 1.

Any `Model` can be searched. Shapes: Q queries, B beams, V the vocabulary of a level, M children.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from cart.trie import Trie

Normalise = Literal["legal", "full"]


class Model(Protocol):
    """States are never changed, only replaced, and hold what belongs to a query once, not once a beam."""

    def begin(self, queries: Any) -> tuple[Any, int]:
        """The state before the first token, and how many queries there are."""

    def level(self, state: Any, level: int, tokens: Tensor, nodes: Tensor, parents: Tensor) -> tuple[Tensor, Any]:
        """Logits (Q, B, V) of the token at `level` for any beams, and the state that knows these beams.

        `tokens` (Q, B) are those of the level before and `nodes` (Q, B) the tree's nodes that they lead to; `parents`
        (Q, B) say which beam of the last call each of these continues. At level 0: zeros, with B = 1.
        """

    def affinity(self, state: Any, level: int, nodes: Tensor) -> Tensor | None:
        """Logits of nodes (Q, B, M) of `level`, added to those of their tokens; None where a model has none."""


class Answers(NamedTuple):
    rows: Tensor  # int64 (Q, k): candidates, best first, none twice; -1 where fewer were found
    scores: Tensor  # float32 (Q, k): log-probabilities; -inf beside -1


class Work:
    """What searches asked for, whatever went together in a batch: beams that asked, and children to choose among."""

    def __init__(self) -> None:
        self.positions: Tensor | int = 0
        self.nodes: Tensor | int = 0

    def add(self, asking: Tensor, real: Tensor) -> None:  # bool (Q, B), (Q, B, M)
        self.positions = self.positions + asking.sum()
        self.nodes = self.nodes + (real & asking[..., None]).sum()


@torch.inference_mode()
def search(
    model: Model,
    queries: Any,
    trie: Trie,
    beams: int,
    k: int,
    normalise: Normalise = "legal",
    work: Work | None = None,
) -> Answers:
    """The best k candidates that a beam of this width reaches; the tree's arrays are torch tensors."""
    state, count = model.begin(queries)
    nodes = torch.zeros(count, 1, dtype=torch.int64, device=trie.rows.device)  # the root; later, padding is 0 as well
    tokens, parents, scores = nodes, nodes, nodes.float()
    for level in range(trie.levels if count else 0):
        asking = scores > -torch.inf  # padding doesn't
        if normalise == "legal":  # neither do beams that are settled
            first, last = trie.span(level - 1, nodes) if level else (nodes, nodes + len(trie))
            asking &= last - first > 1
            if not asking.any():
                nodes = first.long()
                break
        # Those that ask move to the front, so that the model sees W ≤ B beams.
        width = int(asking.sum(1).max())
        asked = asking.byte().argsort(stable=True, dim=1, descending=True)[:, :width]  # (Q, W)
        logits, state = model.level(state, level, *(x.gather(1, asked) for x in (tokens, nodes, parents)))
        child, real = children(trie, level, nodes)  # (Q, B, M)
        wide = asked[..., None].expand(-1, -1, child.shape[2])  # (Q, W, M)
        if work is not None:
            work.add(asking, real)
        gained = gains(model, state, logits, trie, level, child.gather(1, wide), real.gather(1, wide), normalise)
        steps = torch.zeros(child.shape, device=child.device).scatter_(1, wide, gained)  # 0 for beams that don't ask
        total = (scores[..., None] + steps).masked_fill(~real, -torch.inf).flatten(1)  # (Q, B · M)
        scores, place = total.topk(min(beams, total.shape[1]))  # best first; (Q, B) of the next level
        seats = torch.zeros_like(nodes).scatter_(1, asked, torch.arange(width, device=asked.device).expand_as(asked))
        parents = seats.gather(1, place // child.shape[2])
        nodes = child.flatten(1).gather(1, place).where(scores > -torch.inf, 0)
        tokens = trie.tokens[level][nodes].long()
    if scores.isnan().any():
        raise FloatingPointError(
            "the model's logits are not numbers (NaN): its training diverged, or its weights broke"
        )
    return _answers(trie, nodes, scores, k)


def gains(
    model: Model, state: Any, logits: Tensor, trie: Trie, level: int, child: Tensor, real: Tensor, normalise: Normalise
) -> Tensor:
    """What each child (…, M) of a beam adds to its log-probability; logits (…, V)."""
    logits = leaning(model, state, logits, trie, level, child, real)
    token = trie.tokens[level][child].long()
    if normalise == "full":
        return logits.log_softmax(-1).gather(-1, token)
    return logits.gather(-1, token).masked_fill(~real, -torch.inf).log_softmax(-1)


def leaning(model: Model, state: Any, logits: Tensor, trie: Trie, level: int, child: Tensor, real: Tensor) -> Tensor:
    """The logits (…, V), with what the children that exist gain as vectors: tokens without a node gain nothing."""
    extra = model.affinity(state, level, child)
    if extra is None:
        return logits.float()
    return logits.float().scatter_add(-1, trie.tokens[level][child].long(), extra.float().masked_fill(~real, 0))


def children(trie: Trie, level: int, nodes: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes (…, M) of `level` below each of these, and which are real: M is the largest number of children."""
    first, last = (end.long()[..., None] for end in trie.children(level, nodes))
    child = first + torch.arange(int((last - first).max()), device=nodes.device)
    real = child < last
    return child.where(real, 0), real


def _answers(trie: Trie, nodes: Tensor, scores: Tensor, k: int) -> Answers:
    found = min(k, scores.shape[1])
    rows = torch.full((len(nodes), k), -1, device=nodes.device)
    padded = torch.full((len(nodes), k), -torch.inf, device=nodes.device)
    padded[:, :found] = scores[:, :found]
    rows[:, :found] = trie.rows[nodes[:, :found]].long()
    return Answers(rows.where(padded > -torch.inf, -1), padded)

"""The decoder of captioners that are trained here: the next word, given the words so far and states of the item."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.captioners.text_side import causal_states
from baselines.encoders.towers import heads
from harness.nn.layers import Attention, Block, KeysValues
from harness.nn.words import PAD

END = PAD  # follows the last word


class CaptionDecoder(nn.Module):
    """A causal transformer over the words so far, then one cross-attention to the item, then the next word.

    The words' states are computed once a text, however many items it is scored with: a pair costs the cross-attention
    alone. Layers that alternate between the two learn no better, and cost several times as much a pair.
    """

    def __init__(self, vocabulary: int, longest: int, width: int, layers: int = 2) -> None:
        super().__init__()
        self.heads = heads(width)
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(torch.randn(longest + 1, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, self.heads) for _ in range(layers))
        self.asking = nn.LayerNorm(width)
        self.across = Attention(width, self.heads)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, vocabulary)
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, tokens: Tensor, items: Tensor) -> Tensor:
        """Logits (B, L, V) of each next word; tokens (B, L), items (B/c, P, 2d): c texts in turn share an item."""
        return self.logits(self.states(tokens)[-1], items)

    def prepare(self, media: Tensor) -> Tensor:  # (B, P, d) → their keys and values (B, P, 2d)
        return self.across.keyvalue(media)

    def states(self, tokens: Tensor) -> list[Tensor]:  # (B, L) → (B, L, d) after each layer
        return causal_states(tokens, self.words, self.places, self.blocks)

    def logits(self, x: Tensor, items: Tensor) -> Tensor:
        folded = self.asking(x).reshape(len(items), -1, x.shape[-1])
        return self._head(x + self.across.over(self.across.queries(folded), self.across.halves(items)).reshape(x.shape))

    def pair_logits(self, states: Tensor, texts: Tensor, items: Tensor) -> Tensor:
        """Logits (pairs, L, V) for states (T, L, d) of texts, each pair's text, and each pair's item (pairs, P, 2d)."""
        queries = self.across.queries(self.asking(states))[texts]
        return self._head(states[texts] + self.across.over(queries, self.across.halves(items)))

    def _head(self, x: Tensor) -> Tensor:
        return self.out(self.norm(x + self.feed(self.feed_norm(x))))

    def step(self, token: Tensor, place: int, pasts: list[KeysValues], items: Tensor) -> Tensor:
        """Logits (B, V) after one more word; `pasts` has room for keys and values of `longest` words in each layer."""
        x = (self.words(token) + self.places[place])[:, None]
        for block, past in zip(cast(list[Block], list(self.blocks)), pasts, strict=True):
            y = block.norm(x)
            for room, new in zip(past, block.attention.keys_values(y), strict=True):
                room[:, :, place] = new[:, :, 0]
            keys, values = (room[:, :, : place + 1] for room in past)
            x = x + block.attention.over(block.attention.queries(y), (keys, values))
            x = x + block.feed(block.feed_norm(x))
        return self.logits(x, items)[:, 0]


def nll(logits: Tensor, tokens: Tensor) -> Tensor:
    """The cross-entropy of each next word, END included, 0 after it: (B, L, V), (B, L) → (B, L - 1)."""
    following = tokens[:, 1:]
    costs = F.cross_entropy(logits[:, :-1].transpose(1, 2), following, reduction="none")
    return costs.masked_fill(tokens[:, :-1] == END, 0)

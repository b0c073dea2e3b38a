"""CART's text encoders: a dual tower's text side, its vector alone, a transformer from scratch, a checkpoint.

All of them are a `Text`: texts → tokens (n, L), 0 where nothing stands → the states of every layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cart.model import Encoded, Words, never_empty
from harness.machine import compute
from harness.nn import checkpoints
from harness.nn.batching import vectors
from harness.nn.words import LONGEST, PAD, Vocabulary, pad


class Text(nn.Module):
    """`source` may belong to another artifact. Frozen, it is neither trained nor subject to dropout."""

    layers: int
    width: int

    def __init__(self, source: Any, frozen: bool = False) -> None:
        super().__init__()
        self.source, self.frozen = source, frozen
        if frozen:
            source.requires_grad_(False)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        raise NotImplementedError

    def train(self, mode: bool = True) -> Text:
        super().train(mode)
        if self.frozen:
            self.source.eval()
        return self


class Tower(Text):
    """The text side of a dual tower."""

    def __init__(self, tower: Any, frozen: bool = False) -> None:
        super().__init__(tower, frozen)
        self.layers, self.width = tower.layers, tower.width

    def tokens(self, texts: Sequence[str]) -> Tensor:
        return self.source.tokens(texts)

    def forward(self, tokens: Tensor) -> Encoded:
        states, vector = self.source.layered(tokens)
        return Encoded(tuple(states), tokens != PAD, vector)


class Vector(Text):
    """A dual tower's text side, pooled: a query is one state, its vector. Frozen, so that texts are encoded once,
    before training begins: their tokens are those vectors."""

    layers = 1

    def __init__(self, tower: Any) -> None:
        super().__init__(tower, frozen=True)
        self.width = tower.dim

    def tokens(self, texts: Sequence[str]) -> Tensor:
        return vectors(self.source, texts, compute.current().device)

    def forward(self, tokens: Tensor) -> Encoded:
        state = math.sqrt(self.width) * tokens[:, None]  # as long as a state after a layer norm
        return Encoded((state,), torch.ones_like(state[..., 0], dtype=torch.bool), tokens)


class Scratch(Text):
    """A transformer without any training yet, over the words of the gallery's captions."""

    def __init__(self, words: Sequence[str], width: int, dropout: float) -> None:
        vocabulary = Vocabulary(tuple(words), starts=False)
        super().__init__(Words(len(vocabulary), LONGEST, width, dropout=dropout))
        self.vocabulary, self.layers, self.width = vocabulary, self.source.layers, self.source.width

    def tokens(self, texts: Sequence[str]) -> Tensor:
        return self.vocabulary.batch(texts)

    def forward(self, tokens: Tensor) -> Encoded:
        return self.source(tokens)


class Pretrained(Text):
    """The encoder of a checkpoint of transformers, such as BERT or T5."""

    def __init__(self, checkpoint: Path, frozen: bool = False) -> None:
        super().__init__(checkpoints.model("AutoModelForTextEncoding", checkpoint), frozen)
        self.tokenizer = checkpoints.part("AutoTokenizer", checkpoint)
        self.layers, self.width = self.source.config.num_hidden_layers, self.source.config.hidden_size
        # Between its layers a checkpoint's states may have any scale (T5's reach hundreds): each gets a norm.
        self.norms = nn.ModuleList(nn.LayerNorm(self.width) for _ in range(self.layers))

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """The checkpoint's numbers plus one, so that 0 is padding."""
        if not texts:
            return pad([])
        rows = self.tokenizer(list(texts), truncation=True, max_length=LONGEST)["input_ids"]
        return pad([[number + 1 for number in row] for row in rows])

    def forward(self, tokens: Tensor) -> Encoded:
        mask = never_empty(tokens != PAD)
        padding = self.source.config.pad_token_id or 0  # some models number places by the tokens that aren't this one
        numbers = torch.where(tokens == PAD, padding, tokens - 1)
        found = self.source(input_ids=numbers, attention_mask=mask.long(), output_hidden_states=True)
        states = found.hidden_states[-self.layers :]  # the first of all is the embedding
        return Encoded(tuple(norm(state) for norm, state in zip(self.norms, states, strict=True)), mask)

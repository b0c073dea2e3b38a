"""What hears a query, layer by layer: a dual tower's text side, its vector, a transformer from scratch, a checkpoint.

All of them are a `Text`: texts → tokens (n, L), 0 where nothing stands → the states of every layer.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cart.model import Encoded, Words, heard
from harness.machine import compute
from harness.nn import checkpoints
from harness.nn.layers import vectors

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
MOST_WORDS = 30_000
LONGEST = 48  # tokens of a text; what is longer is cut
PAD, UNKNOWN, FIRST = range(3)  # of the numbers of words


class Text(nn.Module):
    """`source` is what may be lent by somebody else. Frozen, it is neither trained nor shaken by dropout."""

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
    """A dual tower's text side, pooled: a query is one state, its vector. Frozen, so that training's texts are heard
    once, before it begins: what the model is given for a text is that vector."""

    layers = 1

    def __init__(self, tower: Any) -> None:
        super().__init__(tower, frozen=True)
        self.width = tower.dim

    def tokens(self, texts: Sequence[str]) -> Tensor:
        return vectors(self.source, texts, compute.current().device)

    def forward(self, tokens: Tensor) -> Encoded:
        state = math.sqrt(self.width) * tokens[:, None]  # of the size that norms give to states
        return Encoded((state,), torch.ones_like(state[..., 0], dtype=torch.bool), tokens)


class Scratch(Text):
    """Words that the captions of the gallery use, and a transformer over them that knows nothing yet."""

    def __init__(self, words: Sequence[str], width: int, dropout: float) -> None:
        super().__init__(Words(FIRST + len(words), LONGEST, width, dropout=dropout))
        self.layers, self.width = self.source.layers, self.source.width
        self.numbers = {word: number for number, word in enumerate(words, FIRST)}

    def tokens(self, texts: Sequence[str]) -> Tensor:
        return padded([[self.numbers.get(word, UNKNOWN) for word in split(text)[:LONGEST]] for text in texts])

    def forward(self, tokens: Tensor) -> Encoded:
        return self.source(tokens)


class Pretrained(Text):
    """The encoder of a checkpoint of transformers, such as BERT or T5."""

    def __init__(self, checkpoint: Path, frozen: bool = False) -> None:
        super().__init__(checkpoints.model("AutoModelForTextEncoding", checkpoint), frozen)
        self.tokenizer = checkpoints.part("AutoTokenizer", checkpoint)
        self.layers, self.width = self.source.config.num_hidden_layers, self.source.config.hidden_size
        # Between its layers a checkpoint's states may be of any size (T5's reach hundreds): a norm of ours for each.
        self.norms = nn.ModuleList(nn.LayerNorm(self.width) for _ in range(self.layers))

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Its own numbers plus one: 0 is free for padding, whatever it pads with."""
        if not texts:
            return padded([])
        rows = self.tokenizer(list(texts), truncation=True, max_length=LONGEST)["input_ids"]
        return padded([[number + 1 for number in row] for row in rows])

    def forward(self, tokens: Tensor) -> Encoded:
        mask = heard(tokens != PAD)
        pad = self.source.config.pad_token_id or 0  # some count a token's place from what is no padding
        numbers = torch.where(tokens == PAD, pad, tokens - 1)
        found = self.source(input_ids=numbers, attention_mask=mask.long(), output_hidden_states=True)
        states = found.hidden_states[-self.layers :]  # the first of all is the embedding
        return Encoded(tuple(norm(state) for norm, state in zip(self.norms, states, strict=True)), mask)


def split(text: str) -> list[str]:
    return WORD.findall(text.lower())


def vocabulary(captions: Sequence[Sequence[str]]) -> list[str]:
    """The most frequent words of them; ties in alphabetical order, so that equal captions give equal numbers."""
    counts = Counter(word for texts in captions for text in texts for word in split(text))
    return sorted(counts, key=lambda word: (-counts[word], word))[:MOST_WORDS]


def padded(rows: list[list[int]]) -> Tensor:
    """int64 (n, longest of them), at least one column."""
    width = max(1, max(map(len, rows), default=1))
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows], dtype=torch.int64).view(len(rows), width)

"""A vocabulary of words: enough for an encoder that learns its language from one training split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
PAD, START, UNKNOWN = range(3)  # START stands before every text, so that no text is empty


def split(text: str) -> list[str]:
    return WORD.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    words: tuple[str, ...]
    longest: int  # tokens; what is longer is cut

    @staticmethod
    def learn(texts: Iterable[str], size: int = 30_000, longest: int = 48) -> Vocabulary:
        """The most frequent words; ties in alphabetical order, so that the same texts give the same vocabulary."""
        counts = Counter(word for text in texts for word in split(text))
        return Vocabulary(tuple(sorted(counts, key=lambda word: (-counts[word], word))[:size]), longest)

    def __len__(self) -> int:
        return len(self.words) + 3

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number + 3 for number, word in enumerate(self.words)}

    def tokens(self, text: str) -> list[int]:
        numbers = self._numbers
        return [START, *(numbers.get(word, UNKNOWN) for word in split(text)[: self.longest - 1])]

    def batch(self, texts: Sequence[str]) -> Tensor:
        """int64 [n, longest of them], padded."""
        return pad([self.tokens(text) for text in texts])


def pad(rows: Sequence[list[int]]) -> Tensor:
    width = max(map(len, rows), default=1)
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows], dtype=torch.int64).view(len(rows), width)

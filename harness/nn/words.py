"""A vocabulary of words, for text sides that learn their language from one training split or one gallery's captions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
PAD, START, UNKNOWN = range(3)
LONGEST = 48  # tokens of a text; what is longer is cut


def split(text: str) -> list[str]:
    return WORD.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    words: tuple[str, ...]
    longest: int = LONGEST
    starts: bool = True  # START stands before every text, so that no text is empty; else all other numbers are one less

    @staticmethod
    def learn(texts: Iterable[str], size: int = 30_000, longest: int = LONGEST, starts: bool = True) -> Vocabulary:
        """The most frequent words; ties in alphabetical order, so that the same texts give the same vocabulary."""
        counts = Counter(word for text in texts for word in split(text))
        return Vocabulary(tuple(sorted(counts, key=lambda word: (-counts[word], word))[:size]), longest, starts)

    def __len__(self) -> int:
        return len(self.words) + UNKNOWN + self.starts

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, UNKNOWN + self.starts)}

    def tokens(self, text: str) -> list[int]:
        numbers, unknown = self._numbers, UNKNOWN - 1 + self.starts
        found = [numbers.get(word, unknown) for word in split(text)[: self.longest - self.starts]]
        return [START, *found] if self.starts else found

    def batch(self, texts: Sequence[str]) -> Tensor:
        """int64 [n, longest of them], padded."""
        return pad([self.tokens(text) for text in texts])


def pad(rows: Sequence[list[int]]) -> Tensor:
    """int64 [n, longest of them], at least one column."""
    width = max(1, max(map(len, rows), default=1))
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows], dtype=torch.int64).view(len(rows), width)

"""Batches by length: every text once, those of a length together, results in the texts' own order."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.nn import batching

LENGTHS = st.lists(st.integers(1, 9), max_size=40)


@given(LENGTHS, st.integers(1, 12))
def test_every_text_is_in_one_batch_and_lengths_never_fall(lengths: list[int], size: int) -> None:
    batches = batching.by_length(np.array(lengths, np.int64), size)
    order = np.concatenate(batches)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert [lengths[place] for place in order] == sorted(lengths)
    assert all(len(batch) == size for batch in batches[:-1]) and len(batches[-1]) <= size


@given(LENGTHS)
def test_without_a_size_there_are_at_most_four_batches(lengths: list[int]) -> None:
    assert 1 <= len(batching.by_length(torch.tensor(lengths, dtype=torch.int64))) <= 4


def test_pairs_of_a_text_stand_together_within_a_length() -> None:
    text, lengths = np.array([2, 0, 1, 2, 0, 1]), np.array([3, 5, 3])
    batches = batching.by_length(lengths[text], 2, text)
    assert [text[batch].tolist() for batch in batches] == [[0, 0], [2, 2], [1, 1]]


def test_rows_are_trimmed_and_come_back_in_order() -> None:
    rows = torch.tensor([[1, 2, 3, 4], [5, 0, 0, 0], [6, 7, 0, 0], [8, 0, 0, 0]])
    widths = []

    def forward(tokens: torch.Tensor) -> torch.Tensor:
        widths.append(tokens.shape[1])
        return tokens.sum(1, keepdim=True)

    assert batching.encode(forward, rows, "cpu", 2).tolist() == [[10], [5], [13], [8]]
    assert widths == [1, 4]
    assert batching.encode(forward, rows[:0], "cpu").shape == (0, 1)

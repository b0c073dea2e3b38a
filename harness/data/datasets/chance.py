"""Seeded chance that is the same on every machine and under every numpy: hashes, a permutation, dice.

Called by the generated datasets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15  # SplitMix64's step
WORD = (1 << 64) - 1


def mix(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: uint64 → uint64, every bit depends on every bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def key(*parts: object) -> int:
    """64 bits that stand for the parts."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:8], "little")


def permute(indices: np.ndarray, size: int, seed: int) -> np.ndarray:
    """A seeded bijection of 0 … size - 1 (a Feistel network; what falls outside walks on until it is inside)."""
    half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    low, shift = np.uint64((1 << half) - 1), np.uint64(half)
    keys = np.array([key("permute", seed, turn) for turn in range(6)], dtype=np.uint64)

    def network(values: np.ndarray) -> np.ndarray:
        left, right = values >> shift, values & low
        for round_key in keys:
            left, right = right, left ^ (mix(right ^ round_key) & low)
        return (left << shift) | right

    values = network(np.asarray(indices).astype(np.uint64))
    outside = np.flatnonzero(values >= size)
    while len(outside):
        values[outside] = network(values[outside])
        outside = outside[values[outside] >= size]
    return values.astype(np.int64)


class Dice:
    """SplitMix64 for the few choices of one item or caption: cheaper to start than numpy's, the same for ever."""

    def __init__(self, state: int) -> None:
        self.state = state

    def below(self, bound: int) -> int:
        self.state = (self.state + GOLDEN) & WORD
        value = self.state
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & WORD
        return (value ^ (value >> 31)) % bound

    def pick(self, options: Sequence[Any]) -> Any:
        return options[self.below(len(options))]

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.below(1 << 24) / (1 << 24)

    def shuffled(self, options: Sequence[Any]) -> list[Any]:
        rest = list(options)
        return [rest.pop(self.below(len(rest))) for _ in options]

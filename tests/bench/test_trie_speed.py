"""The tree of a million identifiers: half a second to build, twelve bytes an item."""

from __future__ import annotations

import time

import numpy as np
import pytest

from cart.trie import build

MILLION = 1_000_000


@pytest.mark.parametrize("sizes", [(256, 256, 256, 256, 4), (1000, 256, 256, 64)])
def test_a_million_identifiers(sizes: tuple[int, ...], capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.permutation(np.unique(rng.integers(0, np.prod(sizes), MILLION + MILLION // 1000))[:MILLION])
    identifiers = np.stack(np.unravel_index(numbers, sizes), axis=1).astype(np.int32)
    assert len(identifiers) == MILLION
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        trie = build(identifiers, sizes)
        took.append(time.perf_counter() - begun)
    with capsys.disabled():
        cost = f"{min(took):.2f} s, {trie.nbytes / MILLION:.1f} bytes an item"
        print(f"\ntree of {MILLION} identifiers of {len(sizes)} levels: {cost}")  # noqa: T201
    np.testing.assert_array_equal(identifiers[trie.rows[:1000]], identifiers[np.lexsort(identifiers.T[::-1])[:1000]])
    assert min(took) <= 0.5
    assert trie.nbytes <= 12 * MILLION

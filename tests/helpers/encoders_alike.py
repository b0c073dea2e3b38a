"""What every encoder with weights from elsewhere has to show, whatever its library; each adapter's test calls these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from baselines.encoders.pretrained import PretrainedEncoder
from harness.contract.dataset import Contents, Pairs

NOTHING = Pairs.empty("text", "text")


def made(encoder: PretrainedEncoder) -> PretrainedEncoder:
    encoder.fit(NOTHING, NOTHING)
    return encoder


def same_one_by_one(encoder: PretrainedEncoder, contents: Contents) -> None:
    together = encoder.encode(contents)
    alone = np.concatenate([encoder.encode(contents[row : row + 1]) for row in range(len(contents))])
    np.testing.assert_allclose(alone, together, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert together.dtype == np.float32
    assert together.shape == (len(contents), encoder.dim)
    assert encoder.encode(contents[:0]).shape == (0, encoder.dim)


def same_after_loading(make: Callable[[], PretrainedEncoder], contents: Contents, folder: Path) -> None:
    before = made(make())
    before.save(folder)
    after = make()
    after.load(folder)
    assert np.array_equal(before.encode(contents), after.encode(contents))
    assert after.parameters == before.parameters > 1000
    assert sum(each.stat().st_size for each in folder.iterdir()) < 1000, "the weights stay where they are"

"""Maps of candidates: what was written is read, and what is damaged is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from harm import flip

from harness.store import maps
from harness.store.maps import Map

RNG = np.random.default_rng(0)
FOUND = Map(
    np.arange(0, 120, 2),
    RNG.normal(size=(60, 2)).astype(np.float32),
    RNG.integers(9, size=(60, 3)).astype(np.int32),
    10,
    0.75,
    0.125,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    maps.write(tmp_path / "maps" / "cell.npz", FOUND)
    return tmp_path / "maps" / "cell.npz"


def test_what_was_written_is_read_and_the_same_map_gives_the_same_bytes(path: Path) -> None:
    read = maps.read(path)
    assert read is not None and (read.nearest, read.shared, read.chance) == (10, 0.75, 0.125)
    for name in ("positions", "places", "tokens"):
        one, other = getattr(read, name), getattr(FOUND, name)
        assert np.array_equal(one, other) and one.dtype == other.dtype
    before = path.read_bytes()
    maps.write(path, FOUND)
    assert path.read_bytes() == before and [each.name for each in path.parent.iterdir()] == ["cell.npz"]


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        flip,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"rubbish"),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: np.save(path.open("wb"), np.arange(3)),
        lambda path: np.savez(path, places=FOUND.places),
        lambda path: np.savez(path, **{**asdict(FOUND), "shared": np.arange(2)}),
        lambda path: maps.write(path, replace(FOUND, tokens=FOUND.tokens[:-1])),
        lambda path: maps.write(path, replace(FOUND, places=FOUND.places[:, :1])),
        lambda path: maps.write(path, replace(FOUND, places=np.full((60, 2), np.nan, np.float32))),
    ],
)
def test_one_that_is_not_whole_is_none(path: Path, harm: Callable[[Path], object]) -> None:
    harm(path)
    assert maps.read(path) is None

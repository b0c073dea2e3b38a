"""Folds: a split asked in parts, each a task of its own, whose name ends in `/2of5`; reports take their mean."""

from __future__ import annotations

import re
from typing import NamedTuple


class Fold(NamedTuple):
    whole: str  # the name of what the folds make up
    number: int  # from 1
    of: int


def folds(count: int) -> list[str]:
    """What the folds are called; a whole has one, without a name."""
    return [f"{number}of{count}" for number in range(1, count + 1)] if count > 1 else [""]


def fold_of(name: str) -> Fold | None:
    """What part a task (or a split) is of another; None for one that is whole."""
    parts = re.fullmatch(r"(.+)/([0-9]+)of([0-9]+)", name)
    return Fold(parts[1], int(parts[2]), int(parts[3])) if parts else None

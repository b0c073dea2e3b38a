"""Folds: a split asked in parts, each a task of its own whose name ends in `/2of5`; reports take their mean."""

from __future__ import annotations

import re
from typing import NamedTuple


class Fold(NamedTuple):
    whole: str  # the name of the task that the folds make up
    number: int  # from 1
    of: int


def fold_name(whole: str, number: int, count: int) -> str:
    return f"{whole}/{number}of{count}"


def fold_of(task: str) -> Fold | None:
    """What part a task is of another; None for a task that is whole."""
    parts = re.fullmatch(r"(.+)/([0-9]+)of([0-9]+)", task)
    return Fold(parts[1], int(parts[2]), int(parts[3])) if parts else None

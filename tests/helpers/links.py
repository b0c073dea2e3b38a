"""Links of the simplest kinds, by hand."""

from __future__ import annotations

import numpy as np

from harness.contract.dataset import Links


def single(targets: np.ndarray) -> Links:
    """Exactly one right candidate for each query."""
    return Links.paired(np.arange(len(targets)), targets, len(targets))


def grouped(groups: np.ndarray, count: int) -> Links:
    """The mirror of `single`: query q is linked to every position i with `groups[i] == q`."""
    return Links.paired(groups, np.arange(len(groups)), count)

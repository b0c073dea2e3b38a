"""Texts of a length together, so that little of a batch is padding. For all who encode or score texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def lengths(rows: Tensor) -> Tensor:
    """The tokens of each row; 0 is padding."""
    return (rows != 0).sum(1)


def by_length(
    lengths: Tensor | np.ndarray, size: int | None = None, then: np.ndarray | None = None
) -> list[np.ndarray]:
    """Positions int64, sorted by length, then by `then`, in batches of `size`; else in four, as for a training step.

    Without any texts: one empty batch.
    """
    keys = np.asarray(lengths)
    size = size or max(1, -(-len(keys) // 4))
    order = np.argsort(keys, kind="stable") if then is None else np.lexsort((then, keys))
    return [order[start : start + size] for start in range(0, max(1, len(order)), size)]


def in_order(forward: Callable[[Any], Tensor], batches: Sequence[np.ndarray]) -> Tensor:
    """`forward` of the positions in each batch; its rows come back in order."""
    found = torch.cat([forward(batch) for batch in batches])
    return found[torch.from_numpy(np.concatenate(batches).argsort()).to(found.device)]


def encode(forward: Callable[[Tensor], Tensor], rows: Tensor, device: Any, size: int | None = None) -> Tensor:
    """`forward` of token rows, in batches as those of `by_length`; results in the rows' own order."""
    return in_order(lambda batch: forward(trim(rows[batch]).to(device)), by_length(lengths(rows), size))


def vectors(tower: Any, texts: Sequence[str], device: str, size: int = 512) -> Tensor:
    """What a text tower makes of texts: float32 [n, dim] on the CPU."""
    with torch.inference_mode():
        return encode(lambda tokens: tower.layered(tokens)[1].float().cpu(), tower.tokens(texts), device, size)


def trim(rows: Tensor) -> Tensor:
    """Token rows without the columns that hold padding alone; vectors as they are."""
    if rows.is_floating_point():
        return rows
    return rows[:, : max(1, int(lengths(rows).max()))] if len(rows) else rows

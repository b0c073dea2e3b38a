"""Transformer layers for whatever is trained here: one implementation, so that no contestant has better bricks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention over `memory`, or over x itself."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.keyvalue = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None = None, memory: Tensor | None = None) -> Tensor:
        return self.look(x, self.remember(x if memory is None else memory), mask)

    def remember(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of what is looked at: (B, M, d) → (B, h, M, d/h) each."""
        return self.parted(self.keyvalue(memory))

    def parted(self, keyvalue: Tensor) -> tuple[Tensor, Tensor]:
        """The same, from keys and values that stand side by side: (B, M, 2d)."""
        keys, values = (self._split(half) for half in keyvalue.chunk(2, -1))
        return keys, values

    def look(self, x: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor | None = None) -> Tensor:
        return self.find(self.ask(x), memory, mask)

    def ask(self, x: Tensor) -> Tensor:  # (B, L, d) → (B, h, L, d/h)
        return self._split(self.query(x))

    def find(self, asked: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor | None = None) -> Tensor:
        return self.out(attend(asked, *memory, mask).transpose(1, 2).flatten(2))  # (B, L, d)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Scaled dot-product attention; on a CPU in single precision always, for in half it takes four times as long."""
    if q.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask)


class Block(nn.Module):
    """Pre-norm self-attention and a feed-forward layer `feed` times as wide."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, feed: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.feed_norm = nn.LayerNorm(dim)
        self.feed = nn.Sequential(nn.Linear(dim, feed * dim), nn.GELU(), nn.Linear(feed * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:  # (B, L, d) → (B, L, d)
        x = x + self.dropout(self.attention(self.norm(x), mask))
        return x + self.dropout(self.feed(self.feed_norm(x)))


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """The mean of the states where `mask` [B, L] is true: (B, L, d) → (B, d)."""
    # selected, not multiplied by 0: NaN · 0 is NaN
    return x.masked_fill(~mask[..., None], 0).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def parameter_count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def lengthwise(rows: Tensor, parts: int = 4) -> list[Tensor]:
    """The numbers of token rows in a few parts, those of a length together: half of a mixed batch would be padding."""
    return list((rows != 0).sum(1).argsort(stable=True).chunk(parts))


def in_parts(forward: Callable[[Tensor], Tensor], rows: Tensor, device: torch.device) -> Tensor:
    """`forward` of token rows, part by part, in their own order."""
    return by_length(lambda part: forward(trim(rows[part]).to(device)), rows)


def by_length(forward: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """`forward` of the numbers of token rows, those of a length together, put back in order."""
    parts = lengthwise(rows)
    found = torch.cat([forward(part) for part in parts])
    return found[torch.cat(parts).argsort().to(found.device)]


def vectors(tower: Any, texts: Sequence[str], device: str, at_once: int = 512) -> Tensor:
    """What a text tower makes of texts: float32 [n, dim] on the CPU. Those of a length together: little is padded."""
    rows = tower.tokens(texts)
    found = torch.empty(len(texts), tower.dim)
    with torch.inference_mode():
        for chosen in (rows != 0).sum(1).argsort(stable=True).split(at_once):
            found[chosen] = tower.layered(trim(rows[chosen]).to(device))[1].float().cpu()
    return found


def trim(rows: Tensor) -> Tensor:
    """Token rows without the columns in which nobody has a word (0 is padding); vectors as they are."""
    if rows.is_floating_point():
        return rows
    return rows[:, : max(1, int((rows != 0).sum(1).max()))] if len(rows) else rows

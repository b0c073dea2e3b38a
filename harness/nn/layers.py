"""Transformer layers for all that is trained here: one implementation, so that no contestant has better ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KeysValues = tuple[Tensor, Tensor]  # (B, h, M, d/h) each


class Attention(nn.Module):
    """Multi-head attention over `memory`, or over x itself. Keys and values can be computed once for many queries."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.keyvalue = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None = None, memory: Tensor | None = None) -> Tensor:
        return self.over(self.queries(x), self.keys_values(x if memory is None else memory), mask)

    def keys_values(self, memory: Tensor) -> KeysValues:  # (B, M, memory's width) → (B, h, M, d/h) each
        return self.halves(self.keyvalue(memory))

    def halves(self, keyvalue: Tensor) -> KeysValues:
        """The same, of keys and values side by side: (B, M, 2d)."""
        keys, values = (self._split(half) for half in keyvalue.chunk(2, -1))
        return keys, values

    def queries(self, x: Tensor) -> Tensor:  # (B, L, d) → (B, h, L, d/h)
        return self._split(self.query(x))

    def over(self, queries: Tensor, memory: KeysValues, mask: Tensor | None = None) -> Tensor:  # → (B, L, d)
        return self.out(attend(queries, *memory, mask).transpose(1, 2).flatten(2))

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


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin with `prefix.`, under the rest of their names: a part of a state dict."""
    return {name[len(prefix) + 1 :]: each for name, each in tensors.items() if name.startswith(f"{prefix}.")}


def once(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of a state dict that have two names, as T5's embeddings, under the first of them alone."""
    own: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in tensors.items():
        own.setdefault(tensor.data_ptr() or -1 - len(own), (name, tensor))
    return dict(own.values())

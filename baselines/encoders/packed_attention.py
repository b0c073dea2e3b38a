"""PyTorch's own attention with the same fast products as all linear layers: see `harness.machine.compute.ready`."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from harness.machine import compute
from harness.machine.compute import Precision


class PackedAttention(nn.Module):
    """Self-attention, batch first, for evaluation: all that open_clip's encoders use of nn.MultiheadAttention."""

    def __init__(self, plain: nn.MultiheadAttention, precision: Precision) -> None:
        super().__init__()
        self.heads = plain.num_heads
        assert plain.in_proj_weight is not None
        bias = None if plain.in_proj_bias is None else plain.in_proj_bias.detach()
        out = None if plain.out_proj.bias is None else plain.out_proj.bias.detach()
        self.inward = compute.product(plain.in_proj_weight.detach(), bias, precision)
        self.outward = compute.product(plain.out_proj.weight.detach(), out, precision)

    def forward(self, query: Tensor, *_: Any, attn_mask: Tensor | None = None, **__: Any) -> tuple[Tensor, None]:
        parts = self.inward(query).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (3, B, h, L, d/h)
        found = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=attn_mask)
        return self.outward(found.transpose(1, 2).flatten(2)), None


def pack(module: nn.Module, precision: Precision) -> None:
    """Replace the attention of every residual block with self-attention alone."""
    if compute.current().device != "cpu":
        return
    for block in module.modules():
        plain = getattr(block, "attn", None)
        if type(plain) is nn.MultiheadAttention and type(block).__name__ == "ResidualAttentionBlock":
            simple = plain.batch_first and plain.in_proj_weight is not None and plain.bias_k is None
            if simple and not hasattr(block, "ln_1_kv"):
                block.attn = PackedAttention(plain, precision)

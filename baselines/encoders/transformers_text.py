"""The text side of a CLIP, SigLIP or CLAP of transformers, to encode with and to train further."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PAD = 0


class TransformersText(nn.Module):
    """A `harness.contract.TextTower`. Its tokens are the checkpoint's plus one: 0 is free for padding."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__()
        self.model = model.text_model
        self.projection = getattr(model, "text_projection", nn.Identity())  # SigLIP's is inside
        self.tokenizer = tokenizer
        config = model.config.text_config
        self.layers, self.width = config.num_hidden_layers, config.hidden_size
        self.dim = _dim(model.config)
        self.padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else config.pad_token_id or 0
        self.whole = model.config.model_type == "siglip"  # trained on padded rows, it attends to their padding
        offset = 2 if model.config.model_type == "clap" else 0  # RoBERTa counts places from its padding's number on
        self.longest = min(tokenizer.model_max_length, config.max_position_embeddings - offset)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        if not texts:
            return torch.zeros(0, 1, dtype=torch.int64)
        padding = "max_length" if self.whole else "longest"
        found = self.tokenizer(
            list(texts), padding=padding, truncation=True, max_length=self.longest, return_tensors="pt"
        )
        numbers = found["input_ids"] + 1
        return numbers if self.whole else numbers.masked_fill(found["attention_mask"] == 0, PAD)

    def _run(self, tokens: Tensor, inside: bool) -> Any:
        mask = tokens != PAD
        numbers = torch.where(mask, tokens - 1, self.padding)
        attended = None if self.whole else mask.long()
        return self.model(input_ids=numbers, attention_mask=attended, output_hidden_states=inside)

    def forward(self, tokens: Tensor) -> Tensor:  # (n, length) → (n, dim)
        return self._projected(self._run(tokens, False))

    def states(self, tokens: Tensor) -> Tensor:  # (n, length) → (n, length, width)
        return self._run(tokens, False).last_hidden_state

    def layered(self, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
        found = self._run(tokens, True)
        norm = getattr(self.model, "final_layer_norm", nn.Identity())  # applied after the last layer alone
        between = [norm(state) for state in found.hidden_states[-self.layers : -1]] if self.layers > 1 else []
        return [*between, found.last_hidden_state], self._projected(found)

    def _projected(self, found: Any) -> Tensor:
        return F.normalize(self.projection(found.pooler_output), dim=-1)


def _dim(config: Any) -> int:
    if config.model_type == "siglip":
        return getattr(config.text_config, "projection_size", None) or config.text_config.hidden_size
    return config.projection_dim

"""The text side of any encoder as a module: its own, or else its vectors. For CART and dual_tuned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.contract.dataset import texts
from harness.contract.instruments import Encoder
from harness.nn.layers import parameter_count


class Vectors(nn.Module):
    """A `TextTower` whose tokens are the vectors of a frozen encoder; if it `learns`, with a linear map after them."""

    layers = 1

    def __init__(self, encoder: Encoder, learns: bool) -> None:
        super().__init__()
        self.width = self.dim = encoder.dim
        self.encoder_parameters = encoder.parameters
        self.encode = lambda contents: encoder.encode(contents)  # a function: copies of the module share the encoder
        self.map: nn.Module = nn.Linear(self.dim, self.dim, bias=False) if learns else nn.Identity()
        if isinstance(self.map, nn.Linear):
            nn.init.eye_(self.map.weight)

    def tokens(self, strings: Sequence[str]) -> Tensor:
        return torch.tensor(self.encode(texts(strings)))

    def layered(self, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
        vector = F.normalize(self.map(tokens).float(), dim=-1)
        return [vector[:, None]], vector


def text_side(encoder: Encoder, learns: bool = False) -> Any:
    """A copy to train further, or the encoder's vectors where it offers no text side."""
    try:
        return encoder.text_tower()
    except NotImplementedError:
        return Vectors(encoder, learns)


def parameters(module: nn.Module) -> int:
    """Of a module, and of an encoder whose vectors it takes."""
    behind = [part.encoder_parameters for part in module.modules() if isinstance(part, Vectors)]
    return parameter_count(module) + sum(behind)

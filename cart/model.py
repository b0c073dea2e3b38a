"""CART's model: a text encoder whose every layer is heard, and a small decoder that writes an identifier.

The paper's (arXiv 2406.17507): a compact autoregressive decoder over the S layers E1..ES of a text encoder, whose
cross-attention C(Y, E) is a fusion of two branches,

    coarse:  Z = W[E1;…;ES] + b,   g ⊙ C(Y, Z)   with the gate g = sigmoid(V C(Y, Z) + c)
    fine:    Σ_i α_i ⊙ C(Y, E_i)                  with α_i = sigmoid(W_i[Y; C(Y, E_i)] + b_i)

whose sum goes on to the next decoder layer. Ours, where the paper gives no details: the form of α_i (that of the
Meshed-Memory Transformer, Cornia et al., 2020), one C shared by all E_i of a layer, normalisation before sublayers, a
head and an embedding table for each level, and the cache: keys and values of the encoder's states are computed once a
query, those of the tokens once a beam, and a beam sees its ancestors through a mask, so that nothing is ever reordered.

Read from top to bottom: text → states → fusion → decoder → CART. Q queries, L words, B beams, P beams so far, d width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from cart.geometry import Geometry
from harness.nn.layers import Block, attend, masked_mean

Fusion = Literal["both", "coarse", "fine", "last-layer"]
KeysValues = tuple[Tensor, Tensor]  # (Q, h, keys, d/h) each


class Encoded(NamedTuple):
    """What a text encoder gives."""

    states: tuple[Tensor, ...]  # S × (Q, L, width): the states after each layer
    mask: Tensor  # bool (Q, L): where a word stands
    vector: Tensor | None = None  # (Q, dim): the query as one vector, where the encoder has one


class TextEncoder(Protocol):
    """Any module of this shape will do: from scratch, a dual tower's text side, a pretrained one, frozen or not."""

    layers: int  # S
    width: int

    def __call__(self, tokens: Tensor) -> Encoded: ...


class Words(nn.Module):
    """The text encoder from scratch: a transformer over word numbers (Q, L), of which 0 is padding."""

    def __init__(
        self, vocabulary: int, longest: int, width: int = 192, layers: int = 2, heads: int = 4, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.layers, self.width = layers, width
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(torch.randn(longest, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Encoded:
        x = self.dropout(self.words(tokens) + self.places[: tokens.shape[1]])
        mask = heard(tokens != 0)
        states = []
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x = block(x, mask[:, None, None, :])
            states.append(norm(x))
        return Encoded(tuple(states), mask)


def heard(mask: Tensor) -> Tensor:
    """A query without a word is heard as its first padding: attention over nothing would be NaN."""
    silent = ~mask.any(1, keepdim=True)  # (Q, 1)
    return mask | (silent & (torch.arange(mask.shape[1], device=mask.device) == 0))


class Attend(nn.Module):
    """Multi-head attention in two halves: keys and values, kept; queries, asked as often as one likes."""

    def __init__(self, width: int, memory: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.keyvalue = nn.Linear(memory, 2 * width)

    def prepare(self, memory: Tensor) -> KeysValues:  # (Q, L, memory)
        keys, values = (self._split(half) for half in self.keyvalue(memory).chunk(2, -1))
        return keys, values

    def ask(self, y: Tensor) -> Tensor:  # (Q, B, d) → (Q, h, B, d/h)
        return self._split(self.query(y))

    def find(self, asked: Tensor, kept: KeysValues, mask: Tensor) -> Tensor:  # mask (Q, 1, B or 1, keys) → (Q, B, d)
        found = attend(asked, *kept, mask)
        return self.out(found.transpose(1, 2).flatten(2))

    def forward(self, y: Tensor, kept: KeysValues, mask: Tensor) -> Tensor:
        return self.find(self.ask(y), kept, mask)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FusedAttention(nn.Module):
    """The paper's cross-attention. `fusion` switches its branches; `last-layer` is an ordinary decoder's C(Y, ES)."""

    def __init__(self, width: int, memory: int, layers: int, heads: int, fusion: Fusion) -> None:
        super().__init__()
        self.fusion = fusion
        if fusion in ("both", "coarse"):
            self.merge = nn.Linear(layers * memory, width)  # Z = W[E1;…;ES] + b
            self.coarse = Attend(width, width, heads)
            self.gate = nn.Linear(width, width)
        if fusion in ("both", "fine", "last-layer"):
            self.fine = Attend(width, memory, heads)
        if fusion in ("both", "fine"):
            self.alphas = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(layers))  # W_i, b_i

    def prepare(self, states: tuple[Tensor, ...]) -> list[KeysValues]:
        """Everything that depends on the query alone: of Z first, then of each E_i."""
        kept = []
        if self.fusion in ("both", "coarse"):
            kept.append(self.coarse.prepare(self.merge(torch.cat(states, -1))))
        if self.fusion in ("both", "fine"):
            kept += [self.fine.prepare(layer) for layer in states]
        if self.fusion == "last-layer":
            kept.append(self.fine.prepare(states[-1]))
        return kept

    def forward(self, y: Tensor, kept: list[KeysValues], mask: Tensor) -> Tensor:  # (Q, B, d)
        if self.fusion == "last-layer":
            return self.fine(y, kept[0], mask)
        total = torch.zeros_like(y)
        if self.fusion in ("both", "coarse"):
            found = self.coarse(y, kept[0], mask)
            total = total + torch.sigmoid(self.gate(found)) * found
        if self.fusion in ("both", "fine"):
            asked = self.fine.ask(y)
            for alpha, layer in zip(self.alphas, kept[-len(self.alphas) :], strict=True):
                found = self.fine.find(asked, layer, mask)
                total = total + torch.sigmoid(alpha(torch.cat([y, found], -1))) * found
        return total


class DecoderLayer(nn.Module):
    def __init__(self, width: int, memory: int, layers: int, heads: int, fusion: Fusion, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.itself = Attend(width, width, heads)
        self.text = FusedAttention(width, memory, layers, heads, fusion)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, past: KeysValues | None, kin: Tensor, kept: list[KeysValues], mask: Tensor
    ) -> tuple[Tensor, KeysValues]:
        """x (Q, B, d) and the keys and values of all beams so far; `kin` (Q, 1, B, P + B) says who sees whom."""
        y = self.norms[0](x)
        keys, values = self.itself.prepare(y)
        if past is not None:
            keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
        x = x + self.dropout(self.itself(y, (keys, values), kin))
        x = x + self.dropout(self.text(self.norms[1](x), kept, mask))
        return x + self.dropout(self.feed(self.norms[2](x))), (keys, values)


@dataclass(frozen=True)
class State:
    """A search so far. What depends on the query alone is there once, whatever the number of beams."""

    kept: list[list[KeysValues]]  # of the encoder's states, for every decoder layer
    mask: Tensor  # (Q, 1, 1, L)
    compass: Tensor | None  # what the geometry knows of the query
    past: list[KeysValues] | None = None  # of all beams of all levels so far, for every decoder layer
    ancestry: Tensor | None = None  # bool (Q, B, P): of those, which the beams of the last level descend from, or are


class CART(nn.Module):
    """text → identifier. Speaks `decoding.Model`; `forward` is the same computation for training."""

    def __init__(
        self,
        encoder: TextEncoder,
        sizes: tuple[int, ...],
        width: int = 192,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        fusion: Fusion = "both",
        geometry: Geometry | None = None,
    ) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.encoder = encoder
        shape = (width, encoder.width, encoder.layers, heads, fusion, dropout)
        self.start = nn.Parameter(torch.randn(width) * 0.02)
        tables = [nn.Embedding(size, width) for size in sizes[:-1]]  # nothing follows the last level's
        self.tokens = nn.ModuleList(tables)
        self.places = nn.Parameter(torch.randn(len(sizes), width) * 0.02)
        self.decoder: Any = nn.ModuleList(DecoderLayer(*shape) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleList(nn.Linear(width, size) for size in sizes)
        self.dropout = nn.Dropout(dropout)
        self.geometry = geometry
        for table in tables:
            nn.init.normal_(table.weight, std=0.02)

    def begin(self, queries: Tensor) -> tuple[State, int]:
        return self.prepare(self.encoder(queries)), len(queries)

    def prepare(self, encoded: Encoded) -> State:
        kept, mask = [layer.text.prepare(encoded.states) for layer in self.decoder], heard(encoded.mask)
        compass = None
        if self.geometry is not None:
            compass = self.geometry.query(masked_mean(encoded.states[-1], mask), encoded.vector)
        return State(kept, mask[:, None, None, :], compass)

    def level(self, state: State, level: int, tokens: Tensor, nodes: Tensor, parents: Tensor) -> tuple[Tensor, State]:
        """One level for any number of beams: (Q, B) → logits (Q, B, size of the level)."""
        queries, beams = tokens.shape
        x = self._embed(level, tokens)  # (Q, B, d)
        itself = torch.eye(beams, dtype=torch.bool, device=x.device).expand(queries, -1, -1)
        ancestry = itself
        if state.ancestry is not None:
            inherited = state.ancestry.gather(1, parents[..., None].expand(-1, -1, state.ancestry.shape[2]))
            ancestry = torch.cat([inherited, itself], 2)  # (Q, B, P + B)
        past: list[KeysValues] = []
        for number, layer in enumerate(self.decoder):
            before = None if state.past is None else state.past[number]
            x, seen = layer(x, before, ancestry[:, None], state.kept[number], state.mask)
            past.append(seen)
        logits = self._read(level, x, state)
        return logits, State(state.kept, state.mask, state.compass, past, ancestry)

    def forward(self, state: State, identifiers: Tensor, passes: int = 1) -> list[Tensor]:
        """All levels at once, given the true tokens (Q, levels): logits of each, (passes · Q, size).

        Passes differ by their dropout. They stand beside each other as beams do: the query is heard once for them all.
        """
        levels = len(self.sizes)
        given = identifiers.repeat(1, passes)  # (Q, passes · levels)
        x = torch.stack([self._embed(at % levels, given[:, at - 1]) for at in range(passes * levels)], 1)
        before = torch.ones(levels, levels, dtype=torch.bool, device=x.device).tril()
        before = torch.block_diag(*[before] * passes)[None, None]
        for layer, kept in zip(self.decoder, state.kept, strict=True):
            x, _ = layer(x, None, before, kept, state.mask)
        read = [self._read(level, x[:, level::levels], state) for level in range(levels)]  # (Q, passes, size)
        return [logits.transpose(0, 1).flatten(0, 1) for logits in read]

    @property
    def hears_alike(self) -> bool:
        """Whether two passes over a query differ in the decoder alone."""
        shaken = (
            module for module in cast(nn.Module, self.encoder).modules() if isinstance(module, nn.Dropout) and module.p
        )
        return self.geometry is None and not any(module.training for module in shaken)

    def affinity(self, state: State, level: int, nodes: Tensor) -> Tensor | None:
        return None if self.geometry is None else self.geometry.nodes(state.compass, level, nodes)

    @torch.no_grad()
    def grow(self, sizes: tuple[int, ...]) -> None:
        """Room for the tokens of candidates added later: a new token starts as the mean of those that were learnt."""
        for level, (old, new) in enumerate(zip(self.sizes, sizes, strict=True)):
            for module in (self.heads[level], *self.tokens[level : level + 1]):
                for name, table in list(module.named_parameters()) if new > old else []:  # (size, d) or (size,)
                    more = table.mean(0, keepdim=True).expand(new - old, *table.shape[1:])
                    setattr(module, name, nn.Parameter(torch.cat([table, more]), table.requires_grad))
        self.sizes = tuple(sizes)

    def _embed(self, level: int, tokens: Tensor) -> Tensor:
        x = self.start.expand(*tokens.shape, -1) if level == 0 else self.tokens[level - 1](tokens)
        return self.dropout(x + self.places[level])

    def _read(self, level: int, x: Tensor, state: State) -> Tensor:
        logits = self.heads[level](self.norm(x))
        along = None if self.geometry is None else self.geometry.tokens(state.compass, level)  # (Q, size)
        return logits if along is None else logits + along[:, None]

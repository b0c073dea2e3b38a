"""CART's model: a small decoder that generates an identifier and attends to every layer of a text encoder.

The paper's (arXiv 2406.17507): a compact autoregressive decoder over the S layers E1..ES of a text encoder, whose
cross-attention C(Y, E) is a fusion of two branches,

    coarse:  Z = W[E1;…;ES] + b,   g ⊙ C(Y, Z)   with the gate g = sigmoid(V C(Y, Z) + c)
    fine:    Σ_i α_i ⊙ C(Y, E_i)                  with α_i = sigmoid(W_i[Y; C(Y, E_i)] + b_i)

whose sum goes on to the next decoder layer. Ours, where the paper gives no details: the form of α_i (that of the
Meshed-Memory Transformer, Cornia et al., 2020), one C shared by all E_i of a layer, normalisation before sublayers, a
head and an embedding table for each level, and the cache: keys and values of the encoder's states are computed once a
query, those of the tokens once a beam, and a beam attends to its ancestors through a mask: nothing is reordered.

Read from top to bottom: text → states → fusion → decoder → CART. Q queries, L words, B beams, P beams so far, d width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from cart.geometry import Geometry
from harness.nn.layers import Attention, Block, KeysValues, masked_mean

Fusion = Literal["both", "coarse", "fine", "last-layer"]


class Encoded(NamedTuple):
    """The output of a text encoder."""

    states: tuple[Tensor, ...]  # S × (Q, L, width): the states after each layer
    mask: Tensor  # bool (Q, L): where a word stands
    vector: Tensor | None = None  # (Q, dim): the query as one vector, where the encoder has one


class TextEncoder(Protocol):
    """Any module of this shape: from scratch, a dual tower's text side, a pretrained one, frozen or not."""

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
        mask = never_empty(tokens != 0)
        states = []
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x = block(x, mask[:, None, None, :])
            states.append(norm(x))
        return Encoded(tuple(states), mask)


def never_empty(mask: Tensor) -> Tensor:
    """A query without words keeps its first padding: attention over nothing would be NaN."""
    empty = ~mask.any(1, keepdim=True)  # (Q, 1)
    return mask | (empty & (torch.arange(mask.shape[1], device=mask.device) == 0))


class Memory(Attention):
    """Attention over a memory of another width. Stored results rest on the order in which its weights are drawn."""

    def __init__(self, width: int, memory: int, heads: int) -> None:
        nn.Module.__init__(self)
        self.heads = heads
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.keyvalue = nn.Linear(memory, 2 * width)


class FusedAttention(nn.Module):
    """The paper's cross-attention. `fusion` switches its branches; `last-layer` is an ordinary decoder's C(Y, ES)."""

    def __init__(self, width: int, memory: int, layers: int, heads: int, fusion: Fusion) -> None:
        super().__init__()
        self.fusion = fusion
        if fusion in ("both", "coarse"):
            self.merge = nn.Linear(layers * memory, width)  # Z = W[E1;…;ES] + b
            self.coarse = Memory(width, width, heads)
            self.gate = nn.Linear(width, width)
        if fusion in ("both", "fine", "last-layer"):
            self.fine = Memory(width, memory, heads)
        if fusion in ("both", "fine"):
            self.alphas = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(layers))  # W_i, b_i

    def prepare(self, states: tuple[Tensor, ...]) -> list[KeysValues]:
        """Keys and values of Z, then of each E_i: they depend on the query alone."""
        kept = []
        if self.fusion in ("both", "coarse"):
            kept.append(self.coarse.keys_values(self.merge(torch.cat(states, -1))))
        if self.fusion in ("both", "fine"):
            kept += [self.fine.keys_values(layer) for layer in states]
        if self.fusion == "last-layer":
            kept.append(self.fine.keys_values(states[-1]))
        return kept

    def forward(self, y: Tensor, kept: list[KeysValues], mask: Tensor) -> Tensor:  # (Q, B, d)
        if self.fusion == "last-layer":
            return self.fine.over(self.fine.queries(y), kept[0], mask)
        total = torch.zeros_like(y)
        if self.fusion in ("both", "coarse"):
            found = self.coarse.over(self.coarse.queries(y), kept[0], mask)
            total = total + torch.sigmoid(self.gate(found)) * found
        if self.fusion in ("both", "fine"):
            queries = self.fine.queries(y)
            for alpha, layer in zip(self.alphas, kept[-len(self.alphas) :], strict=True):
                found = self.fine.over(queries, layer, mask)
                total = total + torch.sigmoid(alpha(torch.cat([y, found], -1))) * found
        return total


class DecoderLayer(nn.Module):
    def __init__(self, width: int, memory: int, layers: int, heads: int, fusion: Fusion, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.itself = Memory(width, width, heads)
        self.text = FusedAttention(width, memory, layers, heads, fusion)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, past: KeysValues | None, ancestry: Tensor, kept: list[KeysValues], mask: Tensor
    ) -> tuple[Tensor, KeysValues]:
        """x (Q, B, d) and all beams' keys and values so far; each attends to its `ancestry` (Q, 1, B, P + B)."""
        y = self.norms[0](x)
        keys, values = self.itself.keys_values(y)
        if past is not None:
            keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
        x = x + self.dropout(self.itself.over(self.itself.queries(y), (keys, values), ancestry))
        x = x + self.dropout(self.text(self.norms[1](x), kept, mask))
        return x + self.dropout(self.feed(self.norms[2](x))), (keys, values)


@dataclass(frozen=True)
class State:
    """A search so far. What depends on the query alone is held once, not once a beam."""

    kept: list[list[KeysValues]]  # of the encoder's states, for every decoder layer
    mask: Tensor  # (Q, 1, 1, L)
    compass: Tensor | None  # the geometry's vector of the query
    past: list[KeysValues] | None = None  # of all beams of all levels so far, for every decoder layer
    ancestry: Tensor | None = None  # bool (Q, B, P): of those, which the beams of the last level descend from, or are


class CART(nn.Module):
    """text → identifier. Searched as a `decoding.Model`; `forward` is the same computation for training."""

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
        text_dropout: float = 0.0,
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
        self.dropout, self.text_dropout = nn.Dropout(dropout), nn.Dropout(text_dropout)
        self.geometry = geometry
        for table in tables:
            nn.init.normal_(table.weight, std=0.02)

    def begin(self, queries: Tensor) -> tuple[State, int]:
        return self.prepare(self.encoder(queries)), len(queries)

    def prepare(self, encoded: Encoded) -> State:
        states = tuple(self.text_dropout(state) for state in encoded.states)
        kept, mask = [layer.text.prepare(states) for layer in self.decoder], never_empty(encoded.mask)
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

        Passes differ by their dropout. They lie side by side as beams do, so that the query is encoded once for all.
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
    def same_encoding(self) -> bool:
        """Whether two passes over a query differ in the decoder alone: no dropout before it."""
        modules = [self.text_dropout, *cast(nn.Module, self.encoder).modules()]
        dropout = any(isinstance(module, nn.Dropout) and module.p and module.training for module in modules)
        return self.geometry is None and not dropout

    def affinity(self, state: State, level: int, nodes: Tensor) -> Tensor | None:
        return None if self.geometry is None else self.geometry.nodes(state.compass, level, nodes)

    @torch.no_grad()
    def grow(self, sizes: tuple[int, ...]) -> None:
        """Make room for the tokens of candidates added later: a new token starts as the mean of those learnt."""
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

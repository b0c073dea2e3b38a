"""The fusion against its formula, steps against the whole, and the search's promises kept by the real model."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from score_all import score_all
from torch import Tensor

from cart import geometry
from cart import trie as tries
from cart.decoding import gains, search
from cart.identifiers import make
from cart.model import CART, FusedAttention, Fusion, Memory, Words
from harness.machine import compute

FUSIONS: tuple[Fusion, ...] = ("both", "coarse", "fine", "last-layer")
KINDS: tuple[geometry.Kind, ...] = ("none", "codebook", "centroid", "learned", "lse")
SIZES = (6, 5, 5, 3)
DIM, WIDTH = 8, 32


def gallery(count: int = 50) -> tuple[tries.Trie, np.ndarray]:
    rng = np.random.default_rng(0)
    rows = rng.permutation(int(np.prod(SIZES)))[:count]
    embeddings = rng.normal(size=(count, DIM)).astype(np.float32)
    identifiers = np.stack(np.unravel_index(rows, SIZES), axis=1).astype(np.int32)
    return tries.build(identifiers, SIZES), embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def model(fusion: Fusion = "both", kind: geometry.Kind = "none", sizes: tuple[int, ...] = SIZES) -> CART:
    torch.manual_seed(0)
    trie, embeddings = gallery()
    rng = np.random.default_rng(1)
    words = [rng.normal(size=(size, DIM)).astype(np.float32) for size in SIZES[:-1]]
    space = geometry.make(kind, WIDTH, trie, embeddings, words)
    built = CART(Words(30, 12, WIDTH, 3), sizes, WIDTH, 2, 4, fusion=fusion, geometry=space)
    for head in built.heads:
        torch.nn.init.normal_(head.weight, std=0.3)  # a fresh one hardly distinguishes its tokens
    return built.eval()


def queries(count: int = 7) -> Tensor:
    torch.manual_seed(1)
    texts = torch.randint(1, 30, (count, 9))
    return texts * (torch.arange(9) < torch.randint(2, 10, (count, 1)))  # of several lengths, padded with 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_beam_as_wide_as_the_gallery_gives_the_order_of_all_scores(fusion: Fusion, kind: geometry.Kind) -> None:
    trie, built = gallery()[0].on("cpu"), model(fusion, kind)
    everything = score_all(built, queries(), trie, chunk=10)
    rows, scores = search(built, queries(), trie, 50, 50)
    assert torch.equal(rows.sort(1).values, torch.arange(50).expand(7, -1))
    torch.testing.assert_close(everything.gather(1, rows), scores, rtol=1e-4, atol=1e-4)
    assert (scores[:, :-1] >= scores[:, 1:]).all() and everything.std(1).min() > 0.1
    torch.testing.assert_close(everything.logsumexp(1), torch.zeros(7), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_one_by_one_equals_batch(kind: geometry.Kind) -> None:
    trie, built = gallery()[0].on("cpu"), model(kind=kind)
    together = search(built, queries(), trie, 6, 6)
    for number, query in enumerate(queries()):
        alone = search(built, query[query > 0][None], trie, 6, 6)  # without the padding that the batch needs
        assert torch.equal(alone.rows[0], together.rows[number])
        torch.testing.assert_close(alone.scores[0], together.scores[number], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["none", "learned"])
@pytest.mark.parametrize("normalise", ["legal", "full"])
def test_all_levels_at_once_are_the_levels_one_by_one(kind: geometry.Kind, normalise: Any) -> None:
    trie, built, texts = gallery()[0].on("cpu"), model(kind=kind), queries(2)
    everything = score_all(built, texts, trie, normalise)
    identifiers, paths = torch.from_numpy(trie.identifiers()).long(), torch.from_numpy(trie.paths()).long()
    with torch.inference_mode():
        for query in range(2):
            state, _ = built.begin(texts[query : query + 1].expand(50, -1))
            total = torch.zeros(50)
            for level, logits in enumerate(built(state, identifiers)):
                parents = paths[:, level - 1] if level else torch.zeros(50, dtype=torch.int64)
                first, last = (end.long()[:, None] for end in trie.children(level, parents))
                child = first + torch.arange(SIZES[level])
                real = child < last
                child = child.where(real, 0)
                scores = gains(built, state, logits[:, None], trie, level, child[:, None], real[:, None], normalise)
                total += scores[:, 0].gather(1, paths[:, level, None] - first)[:, 0]
            torch.testing.assert_close(total, everything[query], rtol=1e-4, atol=1e-4)


def test_later_tokens_do_not_change_earlier_logits() -> None:
    built, texts = model(), queries(3)
    state, _ = built.begin(texts)
    tokens = torch.tensor([[1, 2, 3, 0]] * 3)
    before = built(state, tokens)
    for level in range(3):
        changed = tokens.clone()
        changed[:, level] += 1
        after = built(state, changed)
        for other in range(4):
            assert torch.equal(after[other], before[other]) == (other <= level)
    assert [logits.shape for logits in before] == [(3, size) for size in SIZES]


def by_hand(attend: Memory, y: Tensor, memory: Tensor) -> Tensor:
    """C(y, memory), head by head."""
    keys, values = F.linear(memory, attend.keyvalue.weight, attend.keyvalue.bias).chunk(2, -1)
    parts = [
        torch.softmax(q @ k.mT / k.shape[-1] ** 0.5, -1) @ v
        for q, k, v in zip(*(x.chunk(attend.heads, -1) for x in (attend.query(y), keys, values)), strict=True)
    ]
    return attend.out(torch.cat(parts, -1))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_fusion_is_the_formula(fusion: Fusion) -> None:
    torch.manual_seed(0)
    fused = FusedAttention(16, 12, 3, 4, fusion)
    states = tuple(torch.randn(2, 5, 12) for _ in range(3))
    y = torch.randn(2, 4, 16)
    expected = torch.zeros(2, 4, 16)
    if fusion in ("both", "coarse"):
        z = torch.cat(states, -1) @ fused.merge.weight.T + fused.merge.bias
        found = by_hand(fused.coarse, y, z)
        expected += torch.sigmoid(fused.gate(found)) * found
    if fusion in ("both", "fine"):
        for layer, alpha in zip(states, fused.alphas, strict=True):
            found = by_hand(fused.fine, y, layer)
            expected += torch.sigmoid(alpha(torch.cat([y, found], -1))) * found
    if fusion == "last-layer":
        expected = by_hand(fused.fine, y, states[-1])
    given = fused(y, fused.prepare(states), torch.ones(2, 1, 1, 5, dtype=torch.bool))
    torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-5)


def test_padding_and_unknown_words() -> None:
    trie, built = gallery()[0].on("cpu"), model()
    texts = torch.cat([queries(3), torch.zeros(1, 9, dtype=torch.int64)])  # the last has no known word
    rows, scores = search(built, texts, trie, 50, 50)
    assert scores.isfinite().all() and rows[3].sort().values.tolist() == list(range(50))
    wider = search(built, F.pad(texts, (0, 3)), trie, 50, 50)
    torch.testing.assert_close(wider.scores, scores, rtol=1e-4, atol=1e-4)


def test_the_text_is_read_once_whatever_the_beam(monkeypatch: pytest.MonkeyPatch) -> None:
    trie, built, read = gallery()[0].on("cpu"), model(), []
    plain = Memory.keys_values
    cross = {id(module) for layer in built.decoder for module in (layer.text.coarse, layer.text.fine)}

    def counted(self: Memory, memory: Tensor) -> Any:
        if id(self) in cross:
            read.append(memory.shape[0])
        return plain(self, memory)

    monkeypatch.setattr(Memory, "keys_values", counted)
    search(built, queries(), trie, 20, 20)
    assert read == [7] * 2 * (1 + 3)  # two decoder layers: Z and three E_i, 7 rows each, once


def test_every_parameter_learns_and_dropout_makes_passes_differ() -> None:
    built, texts = model(kind="codebook").train(), queries()
    tokens = torch.tensor([[1, 2, 3, 0]] * 7)
    passes = [built(built.begin(texts)[0], tokens) for _ in range(2)]
    assert not torch.equal(passes[0][0], passes[1][0])
    sum(F.cross_entropy(logits, tokens[:, level]) for level, logits in enumerate(passes[0])).backward()  # type: ignore[union-attr]
    idle = {name for name, p in built.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
    assert not idle


def test_a_few_queries_are_learnt_by_heart() -> None:
    trie, built = gallery()[0].on("cpu"), model().train()
    texts, right = queries(7), torch.arange(7) * 6
    tokens = torch.from_numpy(trie.identifiers()).long()[right]
    optimizer = torch.optim.Adam(built.parameters(), lr=3e-3)
    for _ in range(60):
        logits = built(built.begin(texts)[0], tokens)
        loss = sum((F.cross_entropy(x, tokens[:, level]) for level, x in enumerate(logits)), torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(search(built.eval(), texts, trie, 5, 1).rows[:, 0], right)


def test_a_model_made_ready_for_search_answers_alike() -> None:
    trie, built = gallery()[0].on("cpu"), model()
    expected = search(built, queries(), trie, 10, 10)
    ready = compute.ready(copy.deepcopy(built))
    found = search(ready, queries(), trie, 10, 10)  # type: ignore[arg-type]
    assert torch.equal(found.rows, expected.rows)
    torch.testing.assert_close(found.scores, expected.scores, rtol=1e-4, atol=1e-4)


def test_a_grown_model_keeps_what_it_knew() -> None:
    built, tokens = model(), torch.tensor([[1, 2, 3, 0]] * 7)
    before = built(built.begin(queries())[0], tokens)
    built.grow((6, 5, 7, 5))
    after = built(built.begin(queries())[0], tokens)
    assert [logits.shape[1] for logits in after] == [6, 5, 7, 5] == list(built.sizes)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new[:, : old.shape[1]], old)
    torch.testing.assert_close(after[3][:, 3], before[3].mean(1))  # a new token's logit is the mean of those it joins
    built(built.begin(queries())[0], torch.tensor([[1, 2, 6, 4]] * 7))


# -- geometry ---------------------------------------------------------------------------------------------------------


def test_node_vectors_are_the_means_of_the_items_below() -> None:
    trie, embeddings = gallery()
    identifiers = trie.identifiers()
    for level, table in enumerate(geometry.means(trie, embeddings)):
        prefixes = sorted({tuple(row[: level + 1]) for row in identifiers.tolist()})
        assert len(table) == len(prefixes)
        for vector, prefix in zip(table, prefixes, strict=True):
            mean = embeddings[(identifiers[:, : level + 1] == prefix).all(1)].mean(0)
            np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_log_sum_exp_alone_is_a_softmax_over_candidates() -> None:
    """What this kind amounts to: with a silent decoder, the tree makes no difference at all."""
    trie, embeddings = gallery()
    built = model(kind="lse")
    for head in built.heads:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    assert built.geometry is not None
    encoded = built.encoder(queries())
    vector = F.normalize(torch.randn(7, DIM), dim=-1)
    prepare = built.prepare
    built.begin = lambda texts: (prepare(encoded._replace(vector=vector)), 7)  # type: ignore[method-assign]
    expected = (built.geometry.scales.exp() * vector @ torch.from_numpy(embeddings).T).log_softmax(1)
    torch.testing.assert_close(score_all(built, queries(), trie.on("cpu")), expected, rtol=1e-4, atol=1e-4)


def test_tables_of_nodes_score_alike_by_product_and_by_gathering() -> None:
    trie, embeddings = gallery()
    space = geometry.OfNodes(WIDTH, geometry.means(trie, embeddings), learned=True)
    query = F.normalize(torch.randn(2, DIM), dim=-1)
    every = torch.arange(trie.count(2)).expand(2, 1, -1)
    many, few = space.nodes(query, 2, every), space.nodes(query, 2, every[:, :, 3:9])
    assert many is not None and few is not None
    torch.testing.assert_close(many[:, :, 3:9], few)
    assert all(table.requires_grad for table in space.vectors)


def test_codewords_of_a_scheme_lead_a_vector_to_its_own_identifier() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 16)).astype(np.float32)
    fine = {"books": 2, "codes": 8, "network": "linear"}
    scheme = make("cart", {"clusters": 8, "fine": fine, "pca": None, "balanced": False})
    found = scheme.fit(points)
    trie = tries.build(found.tokens, found.sizes)
    space = geometry.make("codebook", WIDTH, trie, points, scheme.codewords())
    assert isinstance(space, geometry.OfCodes)
    query = space.query(torch.zeros(300, WIDTH), torch.from_numpy(points))
    first = space.tokens(query, 0)
    assert first is not None and space.tokens(query, 3) is None
    assert (first.argmax(1).numpy() == found.tokens[:, 0]).mean() > 0.6  # by angle, not by distance: not all
    with pytest.raises(ValueError, match="codebook needs identifiers"):
        geometry.make("codebook", WIDTH, trie, points, None)

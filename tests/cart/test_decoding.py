"""Beam search against brute force, against `score_all`, and against transformers' `generate` on the same network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from score_all import score_all
from torch import Tensor

from cart import trie as tries
from cart.decoding import Normalise, search
from cart.odds import odds
from cart.trie import Trie

BOTH: tuple[Normalise, ...] = ("legal", "full")


class Table:
    """Random logits for every query and prefix. It trusts what each beam wrote, as its parents say, and no `nodes`."""

    def __init__(self, trie: Trie, queries: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        above = [1, *(trie.count(level) for level in range(trie.levels - 1))]
        self.logits = [
            3 * torch.randn(queries, nodes, size, dtype=torch.float32)
            for nodes, size in zip(above, trie.sizes, strict=True)
        ]
        self.asked = 0  # beams in all calls
        self.paths = trie.paths()  # (N, levels)
        self.numbers: dict[tuple[int, ...], int] = {(): 0}  # of the node that a prefix leads to
        for identifier, path in zip(trie.identifiers().tolist(), self.paths.tolist(), strict=True):
            self.numbers |= {tuple(identifier[: level + 1]): node for level, node in enumerate(path)}

    def begin(self, queries: Tensor) -> tuple[Any, int]:
        return (queries, torch.zeros(len(queries), 1, 0, dtype=torch.int64)), len(queries)

    def level(self, state: Any, level: int, tokens: Tensor, nodes: Tensor, parents: Tensor) -> tuple[Tensor, Any]:
        queries, written = state
        if level:
            inherited = written.gather(1, parents[..., None].expand(-1, -1, written.shape[2]))
            written = torch.cat([inherited, tokens[..., None]], 2)  # (Q, B, level)
        self.asked += tokens.numel()
        # Beams that fill up a batch for other queries' sake may have written what leads nowhere: they get anything.
        known = [self.numbers.get(tuple(prefix), 0) for prefix in written.flatten(0, 1).tolist()]
        return self.logits[level][queries[:, None], torch.tensor(known).view(tokens.shape)], (queries, written)

    def affinity(self, state: Any, level: int, nodes: Tensor) -> Tensor | None:
        return None


def tree(identifiers: np.ndarray, sizes: tuple[int, ...]) -> Trie:
    return tries.build(identifiers.astype(np.int32), sizes).on("cpu")


def some_tree(count: int, sizes: tuple[int, ...], seed: int = 0) -> Trie:
    chosen = np.random.default_rng(seed).permutation(int(np.prod(sizes)))[:count]
    return tree(np.stack(np.unravel_index(chosen, sizes), axis=1), sizes)


def brute(model: Table, trie: Trie, query: int, normalise: Normalise) -> np.ndarray:
    """Log-probability of every candidate, one by one, from lists."""
    identifiers = trie.identifiers().tolist()
    scores = []
    for row, identifier in enumerate(identifiers):
        total = 0.0
        for level, token in enumerate(identifier):
            node = int(model.paths[row, level - 1]) if level else 0
            logits = model.logits[level][query, node].double().numpy()
            legal = sorted({other[level] for other in identifiers if other[:level] == identifier[:level]})
            among = logits[legal] if normalise == "legal" else logits
            total += logits[token] - np.log(np.exp(among).sum())
        scores.append(total)
    return np.array(scores)


@st.composite
def trees(draw: st.DrawFn) -> Trie:
    sizes = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    count = draw(st.integers(1, min(40, int(np.prod(sizes)))))
    return some_tree(count, sizes, draw(st.integers(0, 1000)))


@pytest.mark.parametrize("normalise", BOTH)
@settings(max_examples=60, deadline=None)
@given(trie=trees(), chunk=st.integers(1, 50))
def test_a_beam_as_wide_as_the_gallery_gives_the_order_of_all_scores(
    normalise: Normalise, trie: Trie, chunk: int
) -> None:
    model, queries = Table(trie, 3), torch.arange(3)
    everything = score_all(model, queries, trie, normalise, chunk)
    for query in range(3):
        np.testing.assert_allclose(everything[query], brute(model, trie, query, normalise), rtol=1e-5, atol=1e-5)
    rows, scores = search(model, queries, trie, len(trie), len(trie), normalise)
    assert torch.equal(rows.sort(1).values, torch.arange(len(trie)).expand(3, -1))  # every answer exists, once
    torch.testing.assert_close(scores, everything.sort(1, descending=True).values, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(everything.gather(1, rows), scores, rtol=1e-5, atol=1e-5)
    if normalise == "legal":
        torch.testing.assert_close(everything.logsumexp(1), torch.zeros(3), rtol=0, atol=1e-4)


@pytest.mark.parametrize("normalise", BOTH)
@settings(max_examples=60, deadline=None)
@given(trie=trees(), beams=st.integers(1, 12), k=st.integers(1, 15))
def test_narrow_beams_find_real_candidates_at_their_true_scores(
    normalise: Normalise, trie: Trie, beams: int, k: int
) -> None:
    model, queries = Table(trie, 4), torch.arange(4)
    rows, scores = search(model, queries, trie, beams, k, normalise)
    assert rows.shape == scores.shape == (4, k) and rows.dtype == torch.int64
    everything = score_all(model, queries, trie, normalise)
    for query in range(4):
        found = rows[query][rows[query] >= 0].tolist()
        assert 1 <= len(found) <= min(beams, k) and len(set(found)) == len(found)
        assert rows[query].tolist() == found + [-1] * (k - len(found))
        assert (scores[query, len(found) :] == -torch.inf).all()
        torch.testing.assert_close(scores[query, : len(found)], everything[query, found], rtol=1e-5, atol=1e-5)
        alone = search(model, queries[query : query + 1], trie, beams, k, normalise)
        assert torch.equal(alone.rows[0], rows[query])
        torch.testing.assert_close(alone.scores[0], scores[query])


@pytest.mark.parametrize("normalise", BOTH)
def test_a_beam_of_one_is_greedy(normalise: Normalise) -> None:
    trie = some_tree(60, (4, 5, 6))
    model = Table(trie, 5)
    rows, _ = search(model, torch.arange(5), trie, 1, 1, normalise)
    for query in range(5):
        inside = np.arange(60)
        for level in range(3):
            node = int(model.paths[inside[0], level - 1]) if level else 0
            tokens = trie.identifiers()[inside, level]
            best = max(set(tokens.tolist()), key=lambda token: float(model.logits[level][query, node, token]))
            inside = inside[tokens == best]
        assert rows[query].tolist() == inside.tolist()


def test_beams_wider_than_the_first_level_are_filled_later() -> None:
    trie = some_tree(100, (2, 10, 10))
    rows, _ = search(Table(trie, 3), torch.arange(3), trie, 10, 10)
    assert (rows >= 0).all()


def test_a_chain_without_a_choice_costs_no_call_and_no_probability() -> None:
    codes = np.random.default_rng(0).permutation(40)
    chains = np.stack([codes, codes % 7, codes % 5, np.zeros(40, np.int64)], axis=1)  # the first token says it all
    trie = tree(chains, (40, 7, 5, 1))
    model = Table(trie, 2)
    rows, scores = search(model, torch.arange(2), trie, 10, 10)
    assert model.asked == 2  # the first level, with one beam
    expected = model.logits[0][:, 0].log_softmax(1).sort(1, descending=True)
    torch.testing.assert_close(scores, expected.values[:, :10])
    assert codes[rows.numpy()].tolist() == expected.indices[:, :10].tolist()
    full = search(model, torch.arange(2), trie, 10, 10, "full").scores
    assert (full < scores - 0.1).all()  # over the whole vocabulary a step without a choice does cost
    alone = tree(np.array([[3, 1]]), (5, 2))
    lonely = Table(alone, 2)
    rows, scores = search(lonely, torch.arange(2), alone, 5, 3)
    assert rows.tolist() == [[0, -1, -1]] * 2 and scores[:, 0].tolist() == [0.0, 0.0] and lonely.asked == 0


def test_settled_beams_are_not_asked_again() -> None:
    identifiers = np.array([[token, token % 3, 0] for token in range(20)] + [[19, 1, 1]])
    trie = tree(identifiers, (20, 3, 2))
    model = Table(trie, 4)
    found = search(model, torch.arange(4), trie, 21, 21)
    assert model.asked == 4 + 4 + 4  # of 20 prefixes one has a choice left, and it is asked twice: levels 1 and 2
    torch.testing.assert_close(found.scores, score_all(model, torch.arange(4), trie).sort(1, descending=True).values)


def test_no_queries_give_no_answers() -> None:
    trie = some_tree(10, (4, 4))
    rows, scores = search(Table(trie, 1), torch.arange(0), trie, 5, 3)
    assert rows.shape == scores.shape == (0, 3)
    assert score_all(Table(trie, 1), torch.arange(0), trie).shape == (0, 10)


def test_logits_that_are_no_numbers_are_not_taken_for_answers() -> None:
    trie = some_tree(10, (4, 4))
    model = Table(trie, 2)
    model.logits[0][:] = torch.nan
    with pytest.raises(FloatingPointError, match="NaN"):
        search(model, torch.arange(2), trie, 5, 3)


# -- the same network under transformers' own search ------------------------------------------------------------------


class T5:
    """A T5 under our search. Levels share its one vocabulary, so `full` means all of it, as `generate` has it."""

    def __init__(self, network: Any) -> None:
        self.network = network

    def begin(self, queries: Tensor) -> tuple[Any, int]:
        encoded = self.network.encoder(queries).last_hidden_state
        return (encoded, torch.zeros(len(queries), 1, 0, dtype=torch.int64)), len(queries)

    def level(self, state: Any, level: int, tokens: Tensor, nodes: Tensor, parents: Tensor) -> tuple[Tensor, Any]:
        encoded, written = state
        inherited = written.gather(1, parents[..., None].expand(-1, -1, written.shape[2]))
        written = torch.cat([inherited, tokens[..., None]], 2)  # at level 0 the token 0, which is T5's start
        repeated = encoded.repeat_interleave(written.shape[1], 0)
        logits = self.network(encoder_outputs=(repeated,), decoder_input_ids=written.flatten(0, 1)).logits[:, -1]
        return logits.unflatten(0, written.shape[:2]), (encoded, written)

    def affinity(self, state: Any, level: int, nodes: Tensor) -> Tensor | None:
        return None


@pytest.fixture(scope="module")
def network() -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0, pad_token_id=0
    )
    built = T5ForConditionalGeneration(config).eval()
    torch.nn.init.normal_(built.lm_head.weight, std=2.0)  # a fresh one hardly distinguishes its tokens
    return built


@pytest.mark.parametrize(("normalise", "beams"), [("legal", 2), ("legal", 10), ("full", 2), ("full", 10), ("full", 40)])
def test_the_same_answers_as_generate_with_a_prefix_function(network: Any, normalise: Normalise, beams: int) -> None:
    """`generate` leaves scores as they are over the whole vocabulary (our `full`), or renormalises them (`legal`)."""
    rng = np.random.default_rng(1)
    identifiers = np.unique(np.stack([low + rng.integers(0, 8, 150) for low in (2, 12, 22, 32)], axis=1), axis=0)
    rng.shuffle(identifiers)
    queries = torch.from_numpy(rng.integers(2, 64, size=(6, 7)))
    allowed: dict[tuple[int, ...], set[int]] = {}
    for identifier in identifiers.tolist():
        for length in range(4):
            allowed.setdefault(tuple(identifier[:length]), set()).add(identifier[length])

    with torch.inference_mode():
        generated = network.generate(
            queries,
            attention_mask=torch.ones_like(queries),
            num_beams=beams,
            num_return_sequences=beams,
            max_new_tokens=4,
            min_new_tokens=4,
            do_sample=False,
            length_penalty=0.0,
            early_stopping=False,
            renormalize_logits=normalise == "legal",
            # beams that `generate` invents when it has too few are given anything: they never win
            prefix_allowed_tokens_fn=lambda _, prefix: sorted(allowed.get(tuple(prefix[1:].tolist()), {2})),
            return_dict_in_generate=True,
            output_scores=True,
        )
    trie = tree(identifiers, (64,) * 4)
    rows, scores = search(T5(network), queries, trie, beams, beams, normalise)
    theirs = generated.sequences[:, 1:].reshape(6, beams, 4).numpy()
    assert (rows >= 0).all()
    torch.testing.assert_close(scores.flatten(), generated.sequences_scores, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(identifiers[rows.numpy()], theirs)


@pytest.mark.parametrize("normalise", BOTH)
@settings(max_examples=40, deadline=None)
@given(trie=trees())
def test_the_odds_of_an_answers_tokens_multiply_to_its_score(trie: Trie, normalise: Normalise) -> None:
    model, queries, k = Table(trie, 3), torch.arange(3), len(trie)
    found = search(model, queries, trie, beams=k, k=k, normalise=normalise)
    paths = torch.from_numpy(trie.paths()).long()[found.rows]  # (Q, k, levels)
    likely = odds(model, queries, trie, paths, normalise)
    assert likely.shape == (3, k, trie.levels) and (likely <= 1 + 1e-5).all()
    assert torch.allclose(likely.log().sum(-1), found.scores, atol=1e-4)

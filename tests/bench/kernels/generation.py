"""Generative search: the tree, the beam search, and what identifiers are learnt with. Weights are random: rates don't
depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

from cart import decoding, trie
from cart.decoding import Normalise
from cart.identifiers import coarse, fine
from cart.model import CART, Fusion, Words
from harness.machine import compute
from harness.nn.layers import parameter_count
from kernels import Kernel

COUNT, LEVELS, CODES = 100_000, 4, 256
WIDTH, LAYERS, HEADS, WORDS, BEAMS, K = 192, 2, 4, 20, 10, 10
SIZES = (CODES,) * LEVELS
SPECIAL = 2  # of the rival's vocabulary: padding and end


@cache
def identifiers() -> np.ndarray:
    """int32 [COUNT, LEVELS], all different."""
    rng = np.random.default_rng(0)
    numbers = rng.permutation(np.unique(rng.integers(0, CODES**LEVELS, COUNT + COUNT // 100))[:COUNT])
    return np.stack(np.unravel_index(numbers, SIZES), axis=1).astype(np.int32)


@cache
def prefixes() -> dict[tuple[int, ...], list[int]]:
    """A dict tree: the tokens that may follow each prefix."""
    found: dict[tuple[int, ...], list[int]] = {}
    for identifier in np.unique(identifiers(), axis=0).tolist():
        for length in range(LEVELS):
            below = found.setdefault(tuple(identifier[:length]), [])
            if not below or below[-1] != identifier[length]:
                below.append(identifier[length])
    return found


def nested() -> dict[int, Any]:
    """The same as dicts of dicts, the quickest to build."""
    root: dict[int, Any] = {}
    for row, identifier in enumerate(identifiers().tolist()):
        node = root
        for token in identifier[:-1]:
            node = node.setdefault(token, {})
        node[identifier[-1]] = row
    return root


def tree() -> Kernel:
    ids = identifiers()
    return Kernel(
        f"tree of {COUNT:,} identifiers of {LEVELS} levels",
        lambda: trie.build(ids, SIZES),
        "dicts of dicts",
        nested,
        lambda ours, theirs: len(ours) == COUNT and ours.count(0) == len(theirs),
        "one sort and some comparisons of arrays, not an object a node",
    )


def _beams(count: int) -> tuple[np.ndarray, Tensor, trie.Trie]:
    """Prefixes of two tokens of some candidates, the nodes they lead to, and the tree."""
    flat = trie.build(identifiers(), SIZES)
    return identifiers()[:count, :2], torch.from_numpy(flat.paths()[:count, 1]).long(), flat.on("cpu")


def _legal(nodes: Tensor, flat: trie.Trie) -> Tensor:  # bool [beams, CODES]
    child, real = decoding.children(flat, 2, nodes)
    legal = torch.zeros(len(nodes), CODES, dtype=torch.bool)
    legal[torch.arange(len(nodes))[:, None].expand_as(child)[real], flat.tokens[2][child[real]].long()] = True
    return legal


def legal_by_dict() -> Kernel:
    asked, nodes, flat = _beams(1_280)
    known = prefixes()

    def look() -> Tensor:
        legal = torch.zeros(len(asked), CODES, dtype=torch.bool)
        for row, prefix in enumerate(asked.tolist()):
            legal[row, known[tuple(prefix)]] = True
        return legal

    why = "one lookup for all beams, not a step of Python for each"
    return Kernel("legal tokens of 1,280 beams", lambda: _legal(nodes, flat), "dict tree", look, torch.equal, why)


def legal_by_check() -> Kernel:
    asked, nodes, flat = _beams(10)
    ids = torch.from_numpy(identifiers())
    wanted = torch.from_numpy(asked)

    def look() -> Tensor:
        legal = torch.zeros(len(wanted), CODES, dtype=torch.bool)
        for row, prefix in enumerate(wanted):
            legal[row, ids[(ids[:, :2] == prefix).all(1), 2].long()] = True
        return legal

    against, why = f"a check of each beam against all {COUNT:,}", "a tree doesn't grow dearer with the candidates"
    return Kernel("legal tokens of 10 beams", lambda: _legal(nodes, flat), against, look, torch.equal, why)


@cache
def ours(fusion: Fusion) -> CART:
    torch.manual_seed(0)
    words = Words(CODES + SPECIAL, WORDS, WIDTH, LAYERS, HEADS, dropout=0.0)
    made: Any = compute.ready(CART(words, SIZES, WIDTH, LAYERS, HEADS, dropout=0.0, fusion=fusion))
    return made


@cache
def theirs() -> Any:
    """A T5 of the same width, layers and heads, its vocabulary trimmed to the codes, with the same linear layers."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=CODES + SPECIAL,
        d_model=WIDTH,
        d_kv=WIDTH // HEADS,
        d_ff=4 * WIDTH,
        num_layers=LAYERS,
        num_heads=HEADS,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=None,
    )
    made = T5ForConditionalGeneration(config)
    made.generation_config.eos_token_id = None
    mine: Any = ours("last-layer")
    for layers, others in ((mine.encoder.blocks, made.encoder.block), (mine.decoder, made.decoder.block)):
        assert abs(parameter_count(layers) / parameter_count(others) - 1) < 0.02, "layers of one size"
    return compute.ready(made)


def _search(queries: int, fusion: Fusion, normalise: Normalise, why: str) -> Kernel:
    tokens = torch.from_numpy(np.random.default_rng(1).integers(SPECIAL, CODES, (queries, WORDS)))
    flat, model, known = trie.build(identifiers(), SIZES).on("cpu"), ours(fusion), prefixes()
    network, seen = theirs(), torch.ones_like(tokens)
    shifted = {tuple(SPECIAL + each for each in prefix): [SPECIAL + each for each in t] for prefix, t in known.items()}

    def allowed(_: int, prefix: Tensor) -> list[int]:
        return shifted.get(tuple(prefix[1:].tolist()), [SPECIAL])

    @torch.inference_mode()
    def generate() -> Tensor:
        found: Tensor = network.generate(
            tokens,
            attention_mask=seen,
            num_beams=BEAMS,
            num_return_sequences=K,
            max_new_tokens=LEVELS,
            min_new_tokens=LEVELS,
            do_sample=False,
            renormalize_logits=normalise == "legal",
            prefix_allowed_tokens_fn=allowed,
        )
        return found

    model_words = "" if fusion == "last-layer" else "as CART has it by default (fused attention, legal children), "
    return Kernel(
        f"beam search, {model_words}{queries} queries, {BEAMS} beams, {COUNT:,} identifiers",
        lambda: decoding.search(model, tokens, flat, BEAMS, K, normalise),
        "T5 of the same size, generate() over a dict tree",
        generate,
        lambda found, generated: bool((found.rows >= 0).all()) and _real(generated, queries),
        why,
    )


def _real(generated: Tensor, queries: int) -> bool:
    """The rival, too, finds what exists, none twice."""
    found = generated[:, 1:].sub(SPECIAL).tolist()
    known = set(map(tuple, identifiers().tolist()))
    return len(found) == K * queries and all(tuple(each) in known for each in found)


WHY = "flat tree, keys and values of the query once for its beams, no reordering of caches; the same linear layers"


def beams_one() -> Kernel:
    return _search(1, "last-layer", "full", WHY)


def beams_32() -> Kernel:
    return _search(32, "last-layer", "full", WHY)


def beams_128() -> Kernel:
    return _search(128, "last-layer", "full", WHY)


def beams_as_cart() -> Kernel:
    return _search(32, "both", "legal", "more attention than the rival's, but beams that are settled ask nothing more")


def _points(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 64)).astype(np.float32)


def _spread(points: np.ndarray, centroids: np.ndarray) -> float:
    return float((np.square(points).sum(1) + coarse.costs(points, centroids).min(1)).mean())


def k_means() -> Kernel:
    points, clusters = _points(8_000), 64
    start = points[np.random.default_rng(1).permutation(len(points))[:clusters]]
    return Kernel(
        "k-means, 8,000 × 64 into 64, 20 iterations",
        lambda: coarse.kmeans(points, clusters, seed=0),
        "scipy.cluster.vq.kmeans2 (one thread always)",
        lambda: kmeans2(points, start, iter=20, minit="matrix")[0],
        lambda one, other: abs(_spread(points, one) / _spread(points, other) - 1) < 0.02,
        "faiss's: distances as one product of matrices",
    )


def residual() -> Kernel:
    points, books, bits = _points(4_000), 2, 5
    settings = fine.Settings(books=books, codes=1 << bits, network="linear")

    def train() -> Any:
        faiss = compute.faiss()
        quantiser = faiss.ResidualQuantizer(points.shape[1], books, bits)
        quantiser.max_beam_size, quantiser.train_type = 1, faiss.ResidualQuantizer.Train_default
        quantiser.cp.niter = 20
        quantiser.train(points)
        return quantiser

    def alike(one: fine.Quantiser, other: Any) -> bool:
        lost = np.square(points - one.decode(one.encode(points))).mean()
        theirs = np.square(points - other.decode(other.compute_codes(points))).mean()
        return bool(abs(lost / theirs - 1) < 0.02)

    return Kernel(
        "residual k-means, 4,000 × 64, 2 × 32 codes",
        lambda: fine.fit(points, settings, 0),
        "faiss.ResidualQuantizer, one beam",
        train,
        alike,
        "k-means is faiss's in both; ours first looks for points that are the same, and reports unused codes after it",
    )


def residual_autoencoder() -> Kernel:
    points = _points(4_000)
    return Kernel("RQ-VAE, 4,000 × 64, 2 × 32 codes, 300 steps", lambda: fine.fit(points, fine.Settings(), 0))


KERNELS: tuple[Callable[[], Kernel], ...] = (
    *(tree, legal_by_dict, legal_by_check),
    *(beams_one, beams_32, beams_128, beams_as_cart),
    *(k_means, residual, residual_autoencoder),
)

"""Our residual quantiser beside vector-quantize-pytorch's: the figures in `cart/identifiers/fine.py`.

PYTHONPATH=. python tests/bench/quantisers.py vectors.npy     (of the store; that package has to be installed)
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from vector_quantize_pytorch import ResidualVQ

from cart.identifiers import fine
from cart.identifiers.base import statistics
from cart.identifiers.schemes import Cart


def library(quantiser: fine.Quantiser, x: torch.Tensor) -> None:
    """In place of our training: the same networks, steps, decay and commitment around its codebooks."""
    s = quantiser.settings
    vq = ResidualVQ(
        dim=quantiser.books.shape[2],
        num_quantizers=s.books,
        codebook_size=s.codes,
        kmeans_init=True,
        kmeans_iters=20,
        decay=s.decay,
        threshold_ema_dead_code=1,
        commitment_weight=s.commitment,
    )
    with torch.no_grad():
        vq(quantiser.encoder(x)[None])  # codebooks from all vectors, as ours are
    optimizer = torch.optim.Adam([*quantiser.encoder.parameters(), *quantiser.decoder.parameters()], lr=s.lr)
    for _ in range(s.steps):
        batch = x[torch.randint(len(x), (s.batch,))] if len(x) > s.batch else x
        found, _, commitment = vq(quantiser.encoder(batch)[None])
        optimizer.zero_grad(set_to_none=True)
        ((quantiser.decoder(found[0]) - batch).square().mean() + commitment.sum()).backward()
        optimizer.step()
    quantiser.books.copy_(torch.stack([layer._codebook.embed[0] for layer in vq.layers]).detach())


def recall(x: np.ndarray, rebuilt: np.ndarray, k: int = 10) -> float:
    """The share of a vector's nearest neighbours that stay so."""
    one, other = (np.argpartition(-(x[:1000] @ each.T), k, axis=1)[:, :k] for each in (x, rebuilt))
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(one, other, strict=True)]))


torch.set_num_threads(1)
OURS = fine._train
for path in sys.argv[1:]:
    x = np.array(np.load(path), np.float32)
    for name, train in (("ours", OURS), ("library", library)):
        fine._train, rows = train, []
        for seed in range(3):
            scheme, begun = Cart(seed=seed), time.perf_counter()
            codes = scheme.learn(x)
            spent, rebuilt = time.perf_counter() - begun, scheme.decode(codes)
            rebuilt /= np.linalg.norm(rebuilt, axis=1, keepdims=True)
            found = statistics(codes, scheme.sizes) | scheme.quality(x, codes)
            used = [level["perplexity"] for level in found["levels"][1:]]
            rows.append([found["reconstruction_error"], recall(x, rebuilt), found["colliding"] / len(x), *used, spent])
        print(path, name, "error, recall@10, colliding, perplexities, s:", np.mean(rows, axis=0).round(3))  # noqa: T201

"""Maps of a gallery's candidates, kept in the run's folder when a contest is over: do identifiers follow the vectors?

For the runner; a plot is made from the folder alone. Nothing here is timed or scored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.contest.asking import Contestant, drawn_order
from harness.contest.task import Task
from harness.contract.retriever import Quantises
from harness.machine import compute
from harness.score import neighbours
from harness.store.maps import Map
from harness.store.run_folder import RunFolder, cell_name

FEWEST, MOST = 50, 1000  # candidates of a map
SEED = 20_240  # begins t-SNE
STEPS = 500  # of t-SNE: groups are apart by then


def keep(folder: RunFolder, task: Task, seed: int, contestants: Sequence[Contestant]) -> None:
    """Of contestants that did not fail; in the run's first seed."""
    positions, planes = drawn(len(task.indexed)), dict[bytes, np.ndarray]()
    for contestant in contestants:
        name, retriever = cell_name(task.name, contestant.name, seed), contestant.retriever
        folder.map_path(name).unlink(missing_ok=True)  # an earlier run's
        if len(positions) < FEWEST or not isinstance(retriever, Quantises):
            continue
        vectors = retriever.vectors_of(task.indexed, positions)
        if vectors.shape[1] < 2 or not vectors.std(axis=0).any():
            continue  # on a line, or all in one place
        tokens, key = retriever.identifiers()[positions].astype(np.int32), vectors.tobytes()
        if key not in planes:  # variants of a retriever often share their vectors
            planes[key] = plane(vectors)
        shared = neighbours.shared(vectors, tokens[:, 0])
        folder.write_map(name, Map(positions, planes[key], tokens, neighbours.NEAREST, *shared))


def drawn(count: int) -> np.ndarray:
    """int64, ascending: the candidates of a map, the same for all retrievers of a task."""
    return np.sort(drawn_order(count)[:MOST])


def plane(vectors: np.ndarray) -> np.ndarray:
    """float32 [n, 2], by t-SNE.

    In one thread: its steps are short, and with two on a busy machine, waiting for each other, they took ten times
    as long.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    with compute.limited_threads(1), threadpool_limits(1, "openmp"):
        made = TSNE(2, perplexity=min(30, (len(vectors) - 1) / 3), max_iter=STEPS, init="pca", random_state=SEED)
        return np.asarray(made.fit_transform(vectors), np.float32)

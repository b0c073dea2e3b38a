"""What tests of a run's folder share: one with a task of four queries in it, and records of whoever answered them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.contract.retriever import Ranking
from harness.machine import files
from harness.store import record
from harness.store.run_folder import RunFolder, cell_name

FIRST = Path(__file__).parents[1] / "fixtures" / "record-v1.json"
TASK = "sounds/test/text-audio"
ANSWERS = {0: [0, 1, 2, 3], 1: [0, 1, 3, 2], 2: [1, 0, 3, 2]}  # best candidate of each query, by seed: 4, 2, 0 right


def write_page(folder: RunFolder, digest: str = "these") -> None:
    """Query q is right with candidate q alone."""
    page = {"digest": digest, "positives": [[0], [1], [2], [3]], "cluster": [0, 1, 2, 3], "modality": "audio"}
    asked = ["q0", "q1", "q2", "q3"]
    page |= {"queries": {"names": asked, "texts": asked}, "candidates": {"names": ["a", "b", "c", "d"]}}
    files.write(folder.task_path(TASK), files.pack_json(page))


def add(
    folder: RunFolder,
    seed: int = 0,
    retriever: str = "dual",
    digest: str = "these",
    answers: list[int] | None = None,
    **changes: Any,
) -> str:
    """A record with its ranking, two deep; the name of the cell."""
    name = cell_name(TASK, retriever, seed)
    best = np.array(answers or ANSWERS[seed])
    ids = np.stack([best, (best + 1) % 4], axis=1)
    ranking = Ranking(ids, np.array([[1.0, 0.5]] * 4, np.float32))
    found: Any = record.load(FIRST)
    found |= {"task": TASK, "retriever": retriever, "seed": seed, **changes}
    found["data"] |= {"digest": digest, "items": 4, "queries": 4}
    found["rankings"] = folder.write_ranking(name, ranking, np.arange(4))
    record.save(folder.record_path(name), found)
    return name

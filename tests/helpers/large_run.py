"""A run's folder as large as asked, with sealed records and rankings that nobody had to work for.

python tests/helpers/large_run.py FOLDER [RETRIEVERS TASKS QUERIES]     then: python -m harness report FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from folders import FIRST

from harness.contract.dataset import Links
from harness.contract.retriever import Ranking
from harness.machine import files
from harness.score.scoring import chance, score
from harness.store import record
from harness.store.run_folder import RunFolder, cell_name

CAPTIONS, DEPTH = 5, 10
KS = (1, 5, 10)
CONTROLS = ("random", "oracle")
PARADIGMS = ("dual-tower", "dual-tower", "generative", "single-tower", "hybrid")


def task_name(number: int) -> str:
    return f"clips-{number}/test/text-audio"


def large_run(root: Path, retrievers: int = 10, tasks: int = 5, queries: int = 25_000) -> RunFolder:
    """`retrievers`: two controls among them. Each contestant finds a little less than the one before it."""
    if queries < 2 * DEPTH * CAPTIONS:
        raise ValueError(f"{queries} queries: expected {2 * DEPTH * CAPTIONS} or more, so that wrong answers differ")
    folder = RunFolder(root)
    for task in range(tasks):
        item = np.arange(queries) // CAPTIONS
        count = int(item[-1]) + 1
        page = {"digest": f"digest {task}", "positives": item[:, None].tolist(), "cluster": item.tolist()}
        names = [f"clip {each}#{number % CAPTIONS}" for number, each in enumerate(item.tolist())]
        page["queries"] = {
            "names": names,
            "texts": [f"what is heard in {name}, in as many words as usual" for name in names],
        }
        page["modality"] = "audio"
        page["candidates"] = {"names": [f"clip {number}" for number in range(count)]}
        files.write(folder.task_path(task_name(task)), files.pack_json(page))
        easy = np.random.default_rng(task).random(count)[item]
        for number in range(retrievers):
            _add(folder, task, number, easy, item, count)
    cells = [path.stem for path in sorted((root / "records").iterdir())]
    folder.write_journal({"suite": "large", "cells": cells, "sessions": []})
    return folder


def _add(folder: RunFolder, task: int, number: int, easy: np.ndarray, item: np.ndarray, count: int) -> None:
    rng, contestant = np.random.default_rng([task, number]), number - len(CONTROLS)
    name = CONTROLS[number] if contestant < 0 else f"system-{contestant}"
    wrong = (rng.integers(0, count, len(item))[:, None] + np.arange(DEPTH)) % count
    wrong = np.where(wrong == item[:, None], (item[:, None] + DEPTH) % count, wrong)
    right = {"random": np.zeros(len(item), bool), "oracle": np.ones(len(item), bool)}.get(
        name, easy + rng.normal(0, 0.3, len(item)) > 0.4 + 0.02 * contestant
    )
    place = np.where(right, 0, rng.integers(1, 3 * DEPTH, len(item)))
    ids = np.where(np.arange(DEPTH) == place[:, None], item[:, None], wrong).astype(np.int64)
    scores = -np.sort(-rng.random((len(item), DEPTH), dtype=np.float32), axis=1)
    links = Links.paired(np.arange(len(item)), item, len(item))
    found: Any = record.load(FIRST)
    cell = cell_name(task_name(task), name, 0)
    found |= {"suite": "large", "task": task_name(task), "dataset": f"clips-{task}", "retriever": name, "seed": 0}
    found["paradigm"] = "control" if contestant < 0 else PARADIGMS[contestant % len(PARADIGMS)]
    found["config"] = {**found["config"], "retriever": {"kind": name if contestant < 0 else "dual_tower", "nr": number}}
    found["data"] |= {"digest": f"digest {task}", "items": count, "queries": len(item)}
    found["data"]["chance"] = chance(links, KS, count)
    found["metrics"] = score(ids, links, item, KS, count)
    found["rankings"] = folder.write_ranking(cell, Ranking(ids, scores), np.arange(len(item)))
    record.save(folder.record_path(cell), found)


if __name__ == "__main__":
    large_run(Path(sys.argv[1]), *map(int, sys.argv[2:]))

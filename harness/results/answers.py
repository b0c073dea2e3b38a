"""All answers of a run in long form, a row an answer. For notebooks; millions of them take tens of megabytes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.contract.dataset import Links
from harness.contract.problems import BadInput
from harness.contract.retriever import PAD
from harness.results.frames import opened
from harness.store.record import Record
from harness.store.run_folder import RunFolder, cell_name

DTYPES = {
    "seed": np.int64,
    "query": np.int32,  # its position in the task's page
    "rank": np.int16,  # from 1
    "candidate": np.int32,  # its position in the gallery
    "score": np.float32,
    "right": np.bool_,
}


def rankings(run: str | Path, task: str | None = None, retriever: str | None = None) -> pd.DataFrame:
    """Columns: task, retriever (categorical), and those of `DTYPES`; of one task or one retriever where it is named."""
    folder = opened(run)
    records = [each for each in folder.records() if each["status"] == "ok"]
    chosen = [each for each in records if task in (None, each["task"]) and retriever in (None, each["retriever"])]
    if records and not chosen:
        known = sorted({each["task"] for each in records}), sorted({each["retriever"] for each in records})
        raise BadInput(
            f"{run}: no answers of task {task!r}, retriever {retriever!r}; expected one of {', '.join(known[0])}, and "
            f"one of {', '.join(known[1])}; correct the name"
        )
    pages = {name: _right(folder, name) for name in dict.fromkeys(each["task"] for each in chosen)}
    parts = [_part(folder, each, pages[each["task"]]) for each in chosen]
    sizes = [len(part["query"]) for part in parts]
    columns = {"task": _named([each["task"] for each in chosen], sizes)}
    columns["retriever"] = _named([each["retriever"] for each in chosen], sizes)
    seeds = np.repeat(np.array([each["seed"] for each in chosen], np.int64), sizes)
    joined = {name: np.concatenate([part.pop(name) for part in parts]) for name in DTYPES if name != "seed" and parts}
    empty: dict[str, np.ndarray] = {name: np.empty(0, kind) for name, kind in DTYPES.items()}
    return pd.DataFrame({**columns, **(empty | joined | {"seed": seeds})}, copy=False)


class Right(NamedTuple):
    """Which answers of a task are right."""

    keys: np.ndarray  # int64, sorted: query * stride + candidate
    stride: int

    def of(self, query: np.ndarray, candidate: np.ndarray) -> np.ndarray:
        """bool, for each answer."""
        asked = query.astype(np.int64) * self.stride + candidate
        at = np.minimum(np.searchsorted(self.keys, asked), len(self.keys) - 1)
        return self.keys[at] == asked


def _right(folder: RunFolder, task: str) -> Right:
    page = folder.read_task(task)
    links, stride = Links.listed(page["positives"]), len(page["candidates"]["names"])
    return Right(np.sort(links.queries * stride + links.targets), stride)


def _part(folder: RunFolder, record: Record, right: Right) -> dict[str, np.ndarray]:
    ids, scores, asked = folder.read_ranking(cell_name(record["task"], record["retriever"], record["seed"]))
    found = ids != PAD
    query = np.repeat(asked.astype(np.int32), found.sum(axis=1))
    rank = np.broadcast_to(np.arange(1, ids.shape[1] + 1, dtype=np.int16), ids.shape)[found]
    candidate = ids[found].astype(np.int32)
    return {"query": query, "rank": rank, "candidate": candidate, "score": scores[found]} | {
        "right": right.of(query, candidate)
    }


def _named(names: list[str], sizes: list[int]) -> pd.Categorical:
    """Each name so many times."""
    known = list(dict.fromkeys(names))
    codes = np.array([known.index(name) for name in names], np.int16)
    return pd.Categorical.from_codes(np.repeat(codes, sizes), known)

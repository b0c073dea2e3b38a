"""A run in TREC's format, for trec_eval, ir-measures and their like: `python -m harness export RUN --trec FOLDER`."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.contract.dataset import Links
from harness.contract.retriever import PAD
from harness.machine import files
from harness.machine.escaping import line
from harness.results.frames import opened
from harness.store.run_folder import cell_name, safe


def trec(run: str | Path, folder: str | Path) -> list[Path]:
    """Writes runs/TASK.RETRIEVER.SEED.run and qrels/TASK.qrels; returns what was written.

    Those tools order by the score and not by the rank: where a retriever gave several candidates one score, each next
    one is written with the next smaller number, so that the order is what it was.
    """
    source, target, written = opened(run), Path(folder), list[Path]()
    fine = [each for each in source.records() if each["status"] == "ok"]
    for task in dict.fromkeys(each["task"] for each in fine):
        page = source.read_task(task)
        candidates = tokens(page["candidates"]["names"], "d")
        links = Links.listed(page["positives"])
        queries = tokens(page.get("queries", {}).get("names") or range(len(links)), "q")
        right = {"query": queries[links.queries], "0": 0, "candidate": candidates[links.targets], "relevance": 1}
        written.append(_write(target / "qrels" / f"{safe(task)}.qrels", right))
        for each in (record for record in fine if record["task"] == task):
            name = cell_name(task, each["retriever"], each["seed"])
            ids, scores, asked = source.read_ranking(name)
            found = ids != PAD
            ranks = np.broadcast_to(np.arange(1, ids.shape[1] + 1), ids.shape)[found]
            answers = {
                "query": queries[np.repeat(asked, found.sum(axis=1))],
                "Q0": "Q0",
                "candidate": candidates[ids[found]],
                "rank": ranks,
                "score": falling(scores)[found],
                "tag": token(each["retriever"]),
            }
            written.append(_write(target / "runs" / f"{token(name)}.run", answers))
    return written


def _write(path: Path, columns: dict[str, Any]) -> Path:
    table = pd.DataFrame(columns)
    text = table.to_csv(None, sep=" ", header=False, index=False, float_format="%.9g", quoting=csv.QUOTE_NONE)
    files.write(path, str(text).encode())
    return path


def token(name: object) -> str:
    """In one piece, as TREC's files need it: no space, nothing that isn't seen."""
    return re.sub(r"[\s\"]+", "_", line(name)) or "_"


def tokens(names: Sequence[object], letter: str) -> np.ndarray:
    """The names as they are written, str [n]; positions after a letter where two of them would be written alike."""
    made = [token(name) for name in names]
    if len(set(made)) < len(made) or isinstance(names, range):
        made = [f"{letter}{number}" for number in range(len(names))]
    return np.array(made, dtype=object)


def falling(scores: np.ndarray) -> np.ndarray:
    """The same scores, float32 [queries, depth], each below the one before it by as little as can be written."""
    made = scores.copy()
    for column in range(1, made.shape[1]):
        made[:, column] = np.minimum(made[:, column], np.nextafter(made[:, column - 1], np.float32(-np.inf)))
    return made

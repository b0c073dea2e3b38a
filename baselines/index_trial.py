"""Tries an index string in a process of its own, since some strings make FAISS crash or hang.

`problem` is for plans, before there are vectors; the dual tower calls `refuse_deadly` before it builds an index.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from baselines import faiss_index, index_tuning
from harness.machine import environment

LIMIT_S = 60.0  # for a plan
BUILD_LIMIT_S = 300.0  # before an index is built, with more vectors
FEW, MANY = 400, 2000  # vectors of a trial
DIMS = (96, 512, 768, 3840)  # as encoders have; nearly every number of sub-vectors divides one of them
MEMORY = 16 << 30  # that a trial may ask for
# Strings and settings that never crash FAISS: an error when the index is built is enough.
SAFE = re.compile(r"Flat|(HNSW\d{1,3}|IVF(\d{1,5}|\*)),Flat")
KNOWN = {"H": {"efSearch"}, "I": {"nprobe"}, "F": set()}
# Errors that may not occur with as many vectors as a real gallery has.
SMALL_GALLERY = ("training points", "PCA matrix cannot output")


def problem(arguments: Mapping[str, Any], limit_s: float = LIMIT_S) -> str | None:
    """What is wrong with a dual tower's `index`, `search` and `tune`, and what to write instead; None: nothing."""
    factory, search = arguments.get("index", "exact"), dict(arguments.get("search") or {})
    try:
        faiss_index.refuse(factory, search)
        index_tuning.aim(factory, search, arguments.get("tune") or {})
    except ValueError as error:
        return str(error)
    if factory == "exact" or (SAFE.fullmatch(factory) and search.keys() <= KNOWN[factory[0]]):
        return None
    return _tried(factory, json.dumps(search), DIMS, FEW, limit_s)


def refuse_deadly(factory: str, search: Mapping[str, int], dim: int, count: int) -> None:
    """Raise a ValueError where a trial with vectors of this dimension goes wrong."""
    if factory == "exact" or SAFE.fullmatch(factory):
        return
    found = _tried(factory, json.dumps(dict(search)), (dim,), min(count, MANY), BUILD_LIMIT_S)
    if found:
        raise ValueError(found)


@cache
def _tried(factory: str, search: str, dims: Sequence[int], count: int, limit_s: float) -> str | None:
    asked = json.dumps({"factory": factory, "search": json.loads(search), "dims": dims, "count": count})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "baselines.index_trial"],
            input=asked,
            env=environment.for_child(OMP_NUM_THREADS="1"),
            capture_output=True,
            text=True,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired:
        return (
            f"index {factory!r}: a trial with {count:,} vectors took more than {limit_s:g} s, so it may never end; "
            "write a string that FAISS builds faster, such as `HNSW32,Flat`"
        )
    if done.returncode < 0:
        return (
            f"index {factory!r}: FAISS crashed in a trial with {count:,} vectors (signal {-done.returncode}); write "
            "larger numbers in it, or another string, such as `HNSW32,Flat`"
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1][:200]
        return f"index {factory!r} can't be tried ({last}); write another string or setting, such as `HNSW32,Flat`"
    return json.loads(done.stdout)


def _try(factory: str, search: Mapping[str, int], dims: Sequence[int], count: int) -> str | None:
    """In the child: the whole life of an index, with the first dimension that fits it."""
    found: str | None = None
    for dim in dims:
        vectors = np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        try:
            _live(factory, search, vectors)
        except ValueError as error:
            found = found or str(error)
            if not any(words in str(error) for words in SMALL_GALLERY):
                continue
        return None
    return found


def _live(factory: str, search: Mapping[str, int], vectors: np.ndarray) -> None:
    index = faiss_index.FaissIndex(factory, search)
    index.begin(*vectors.shape[::-1])
    index.settle()  # before training, which may need more vectors than there are
    index.build(vectors, quick=True)
    index.search(vectors[:20], 10)
    with tempfile.TemporaryDirectory() as folder:
        again = faiss_index.FaissIndex(factory, search)
        try:
            index.save(Path(folder))
            again.load(Path(folder))
        except faiss_index.FAULTS as error:
            raise ValueError(f"index {factory!r} can't be kept in a file{faiss_index.words(error)}") from error
        again.search(vectors[:20], 10)
        again.sizes()


def _limited() -> None:
    """A string that asks for all memory gets an error instead, and none leaves a core behind."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError, OSError):  # not every system has such a limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    _limited()
    print(json.dumps(_try(**json.load(sys.stdin))))  # noqa: T201  the answer to the process that asked

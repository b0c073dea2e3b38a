"""Settings that a retriever chooses for itself: with each it learns the validation gallery, and is asked its queries.

For retrievers with `tune: {lr: […], steps: […]}`. All combinations are tried; the one that finds most queries' right
candidate first is taken, and of equal ones the first. What each found is kept with the retriever. A step of 0 leaves
things as they were before training, so that no one has to fall below what it started from.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.contract.dataset import Links, Pairs
from harness.contract.instruments import Captioner, Encoder
from harness.contract.retriever import Retriever
from harness.contract.store import Recipe, Store
from harness.machine.progress import say

Values = Mapping[str, float]
VERSION = 1  # raise it whenever the same tries give another choice


def choose(
    tries: Mapping[str, Sequence[float]],
    validation: Pairs,
    sibling: Callable[[Values], Retriever],
    store: Store | None = None,
    depends: Mapping[str, Any] | None = None,
) -> list[dict[str, float]]:
    """What each combination found, best first: its values, and `hit@1` on the validation gallery.

    `sibling` makes a retriever with such values, ready to `index`; `depends`: all else that the outcome rests on.
    """
    if not len(validation.queries):
        raise ValueError("tune: validation has no queries to choose with; write the settings themselves")
    if store is None:
        return _tried(tries, validation, sibling)

    def build(folder: Path) -> None:
        (folder / "tried.json").write_text(json.dumps(_tried(tries, validation, sibling)))

    config = {**(depends or {}), "tries": {name: list(values) for name, values in tries.items()}, "version": VERSION}
    folder = store.make(Recipe("choice", " ".join(tries), config | {"validation": validation.digest}), build).folder
    found: list[dict[str, float]] = json.loads((folder / "tried.json").read_text())
    return found


def known(
    about: Mapping[str, Any], version: int, seed: int, train: Pairs, encoder: Encoder, captioner: Captioner
) -> dict[str, Any]:
    """All that the outcome depends on besides validation: the retriever's settings and version, what it learns from."""
    instruments = {"encoder": encoder.digest, "captioner": captioner.digest}
    return {"about": about, "of": version, "seed": seed, "train": train.digest} | instruments


def _tried(
    tries: Mapping[str, Sequence[float]], validation: Pairs, sibling: Callable[[Values], Retriever]
) -> list[dict[str, float]]:
    found = []
    for combination in itertools.product(*tries.values()):
        values = dict(zip(tries, combination, strict=True))
        retriever = sibling(values)
        retriever.index(validation.candidates)
        first = retriever.search(validation.queries, 1).ids[:, 0]
        found.append({**values, "hit@1": hits(first, validation.links)})
        say("    tried " + ", ".join(f"{name} {value:g}" for name, value in found[-1].items()))
    return sorted(found, key=lambda each: -each["hit@1"])


def hits(first: np.ndarray, links: Links) -> float:
    """The share of queries whose first answer int64 [Q] is right."""
    right = links.targets == first[links.queries]
    return float(np.bincount(links.queries, right, len(links)).clip(max=1).mean())

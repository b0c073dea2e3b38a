"""The hybrid: one retriever proposes n candidates, another one, which scores pairs, orders them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from baselines.settings import RerankSettings
from baselines.single_tower.scorer import Scorer
from harness.contract.dataset import Contents
from harness.contract.retriever import Footprint, Ranking, Retriever, padded


class Rerank(Retriever):
    def __init__(self, settings: RerankSettings, first: Retriever, second: Retriever) -> None:
        if not isinstance(second, Scorer):
            raise ValueError(
                f"rerank: second is {type(second).__name__}, which can't score single pairs; name a retriever of kind "
                "likelihood, match, pretrained or dual_tuned"
            )
        self.first, self.second, self.judge, self.n = first, second, second, settings.n
        self.grown = False

    def index(self, gallery: Contents) -> None:
        """Both come indexed already."""

    def add(self, contents: Contents) -> None:
        self.first.add(contents)  # first, as it may refuse: then nothing has changed
        self.second.add(contents)
        self.grown = True

    def search(self, queries: Contents, k: int) -> Ranking:
        proposed = self.first.search(queries, self.n).ids  # (Q, n)
        query, place = np.nonzero(proposed >= 0)
        scores = np.full(proposed.shape, -np.inf, np.float32)
        scores[query, place] = self.judge.score(queries, np.stack([query, proposed[query, place]], axis=1))
        order = np.argsort(-scores, axis=1, kind="stable")
        ids = np.take_along_axis(proposed, order, axis=1)
        return padded(ids, np.take_along_axis(scores, order, axis=1), len(queries), k)

    def save(self, folder: Path) -> None:
        """The two inner retrievers are artifacts of their own, as they were before `add`: saved again only if grown."""
        for name, inner in self._inner().items():
            if self.grown:
                (folder / name).mkdir()
                inner.save(folder / name)
        (folder / "rerank.json").write_text(json.dumps({"grown": self.grown}))

    def load(self, folder: Path) -> None:
        self.grown = json.loads((folder / "rerank.json").read_text())["grown"]
        for name, inner in self._inner().items():
            if self.grown:
                inner.load(folder / name)

    def _inner(self) -> dict[str, Retriever]:
        return {"first": self.first, "second": self.second}

    def footprint(self) -> Footprint:
        first, second = self.first.footprint(), self.second.footprint()
        return Footprint(*(sum(pair) for pair in zip(first, second, strict=True)))

    def counts(self) -> Mapping[str, int]:
        counts = Counter(self.first.counts())
        counts.update(self.second.counts())  # adds where both count the same
        return dict(counts)

    def reset_counts(self) -> None:
        self.first.reset_counts()
        self.second.reset_counts()

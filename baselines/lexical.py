"""BM25: a search engine's words against the generated captions of each candidate, no encoder in between.

The captions of a candidate are one document. What doesn't beat this has learnt no more than co-occurring words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from baselines.settings import LexicalSettings
from harness.contract.dataset import Contents
from harness.contract.instruments import Captioner
from harness.contract.retriever import Footprint, Ranking, Retriever, best, in_blocks
from harness.machine.compute import stage
from harness.nn.words import split

QUERIES_AT_ONCE = 256


class Lexical(Retriever):
    def __init__(self, settings: LexicalSettings, captioner: Captioner) -> None:
        self.captioner, self.k1, self.b = captioner, settings.k1, settings.b
        self.documents: list[list[str]] = []
        self.engine: Any = None
        self.postings = 0  # weights added up since the last reset, one for each word of a query and document with it

    def index(self, gallery: Contents) -> None:
        self._build(self._described(gallery))

    def add(self, contents: Contents) -> None:
        """A word's weight depends on all documents, so the index is built anew: seconds for a million."""
        self._build(self.documents + self._described(contents))

    def _described(self, contents: Contents) -> list[list[str]]:
        return [split(" ".join(each)) for each in self.captioner.captions(contents)]

    def _build(self, documents: list[list[str]]) -> None:
        import bm25s

        self.documents = documents
        self.engine = bm25s.BM25(k1=self.k1, b=self.b) if any(documents) else None
        if self.engine is not None:
            self.engine.index(documents, show_progress=False)
            self.lengths = np.diff(self.engine.scores["indptr"])  # [words]: documents with each

    def search(self, queries: Contents, k: int) -> Ranking:
        with stage("search"):
            return in_blocks(lambda block: best(self._scores(list(block)), k), queries, QUERIES_AT_ONCE, k)

    def _scores(self, texts: list[str]) -> np.ndarray:  # float32 [q, N]; 0 where no word matches
        scores = np.zeros((len(texts), len(self.documents)), np.float32)
        for row, text in enumerate(texts):
            known = [] if self.engine is None else self.engine.get_tokens_ids(split(text))
            if known:
                scores[row] = self.engine.get_scores_from_ids(known)
                self.postings += int(self.lengths[known].sum())
        return scores

    def save(self, folder: Path) -> None:
        (folder / "documents.json").write_text(json.dumps(self.documents))

    def load(self, folder: Path) -> None:
        self._build(json.loads((folder / "documents.json").read_text()))

    def footprint(self) -> Footprint:
        if self.engine is None:
            return Footprint(0, 0)
        columns = sum(np.asarray(self.engine.scores[name]).nbytes for name in ("data", "indices", "indptr"))
        words = sum(len(word) for document in self.documents for word in document)
        return Footprint(columns + words, 0)

    def counts(self) -> Mapping[str, int]:
        return {"postings": self.postings}

    def reset_counts(self) -> None:
        self.postings = 0

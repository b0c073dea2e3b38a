"""A retriever whose rate is what SHARE makes it: `error_rates.py` slows it down."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.contract import Contents, Footprint, Ranking, Retriever, best

SHARE = 1.0  # of the rate


class Works(Retriever):
    """Multiplies matrices for every query."""

    def index(self, gallery: Contents) -> None:
        self.count = len(gallery)

    def search(self, queries: Contents, k: int) -> Ranking:
        matrix = np.eye(192, dtype=np.float32)
        for _ in range(round(10 * len(queries) / SHARE)):
            matrix = matrix @ matrix
        return best(np.tile(matrix[0, 0] * np.arange(self.count, dtype=np.float32), (len(queries), 1)), k)

    def save(self, folder: Path) -> None:
        (folder / "count").write_text(str(self.count))

    def load(self, folder: Path) -> None:
        self.count = int((folder / "count").read_text())

    def footprint(self) -> Footprint:
        return Footprint(index_bytes=0, parameters=0)

"""The `precomputed` encoder: looks up vectors of media and texts that were made elsewhere.

Files: .npy (float [n, dim]), .npz (arrays `vectors` and, if you like, `names`), .safetensors (tensor `vectors`). Names
say which row is whose (media: the dataset's names; texts: the texts themselves), in the .npz or as a JSON list in a
file of its own. Without names rows go by position: with `split`, a row for everything annotated in that split, in that
order, whether its medium is here or not; without, a row for everything that a manifest lists, or as its column `row`
says. One side may be left out where only the other is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

from baselines.encoders.settings import PrecomputedSettings
from harness.contract.dataset import WHOLE, Contents, Modality, Pairs
from harness.contract.instruments import Encoder, unsealed
from harness.contract.problems import BadInput, some
from harness.reading import vectors


class PrecomputedEncoder(Encoder):
    modalities: tuple[Modality, ...] = ("text", "image", "audio", "video")

    def __init__(self, settings: PrecomputedSettings, reveal: Callable[[Contents], Contents] | None = None) -> None:
        self._reveal = reveal or unsealed  # contents are sealed, and rows go by names or places
        files = {"media": settings.media, "text": settings.text}
        names = {"media": settings.media_names, "text": settings.text_names}
        self.files = {side: file for side, file in files.items() if file}
        self.names = {side: name for side, name in names.items() if name}
        self.split = settings.split

    def fit(self, train: Pairs, validation: Pairs) -> None:
        """Nothing is learnt; the files are checked before anything is made from them."""
        dims = {table.dim: table.path for table in self.tables.values()}
        if len(dims) > 1:
            (one, first), (other, second) = dims.items()
            raise BadInput(
                f"{first} holds vectors of dimension {one} and {second} of {other}: they are of different encoders; "
                "name two files that one encoder made"
            )
        for table in self.tables.values():
            vectors.check(table.vectors, table.path)
        self.dim = next(iter(dims))

    @cached_property
    def tables(self) -> dict[str, Table]:
        return {side: Table(file, self.names.get(side), side, self.split) for side, file in self.files.items()}

    def encode(self, contents: Contents) -> np.ndarray:
        side = "text" if contents.modality == "text" else "media"
        if side not in self.tables:
            raise BadInput(f"precomputed: no vectors of {side}; name a file of them: `{side}: FILE`")
        table = self.tables[side]
        found = np.asarray(table.vectors[table.rows(self._reveal(contents))], np.float32).reshape(
            len(contents), self.dim
        )
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def embed(self, contents: Contents) -> np.ndarray:
        """Not stored again, as they are files already; and missing ones are counted over all contents."""
        return self.encode(contents)

    def save(self, folder: Path) -> None:
        (folder / "precomputed.json").write_text(json.dumps({"dim": self.dim}))

    def load(self, folder: Path) -> None:
        self.dim = json.loads((folder / "precomputed.json").read_text())["dim"]


class Table:
    """The vectors of one side, and the row of each content."""

    def __init__(self, path: Path, names: Path | None, side: str, split: str | None) -> None:
        self.path, self.side, self.split = path, side, split
        self.vectors, inside = vectors.read(path)
        self.dim = self.vectors.shape[1]
        known = vectors.names(names) if names else inside
        self.places = None if known is None else self._placed(known, names or path)

    def _placed(self, names: list[str], where: Path) -> dict[str, int]:
        if len(names) != len(self.vectors):
            raise BadInput(
                f"{self.path} has {len(self.vectors):,} rows and {where} {len(names):,} names; expected a name a row"
            )
        places: dict[str, int] = {}
        for row, name in enumerate(names):
            before = places.setdefault(name, row)
            if before != row and not np.array_equal(self.vectors[before], self.vectors[row]):
                raise BadInput(f"{where}: {name!r} names the rows {before} and {row}, which differ; keep one of them")
        return places

    def rows(self, contents: Contents) -> np.ndarray:
        """int64 [n]: the row of each of the contents."""
        if not len(contents):
            return np.empty(0, np.int64)
        if self.places is None:
            return self._by_position(contents)
        keys = list(contents) if contents.modality == "text" else contents.names
        if keys is None:
            raise BadInput(f"{self.path}: vectors go by the names of items, and this {contents.modality} has none")
        missing = [key for key in keys if key not in self.places]
        if missing:
            raise BadInput(
                f"{self.path}: no vectors for {len(missing):,} of {len(keys):,} {contents.modality} contents: "
                f"{some(missing)}; it has {some(list(self.places))}: add what is missing, or name another encoder"
            )
        return np.array([self.places[key] for key in keys], np.int64)

    def _by_position(self, contents: Contents) -> np.ndarray:
        order = contents.orders.get(self.split or WHOLE)
        advice = f"name a JSON list of names for it (`{self.side}_names`), which serves all splits"
        if order is None and self.split is None:
            raise BadInput(
                f"{self.path}: nothing says whose rows these are; {advice}, or write `split: test` if it has a row for "
                "everything that is annotated in that split, in that order"
            )
        if order is None:
            known = ", ".join(contents.orders) or "no order at all"
            raise BadInput(
                f"{self.path}: its rows are those of the split {self.split}, and what is asked for has {known}; "
                f"{advice}"
            )
        if len(self.vectors) != order.size:
            what = f"annotated in {self.split}" if self.split else "in the whole dataset"
            raise BadInput(
                f"{self.path} has {len(self.vectors):,} rows; expected {order.size:,}, one for each "
                f"{contents.modality} {what}, in that order, whether it is used or not; make the file so, or {advice}"
            )
        return order.rows[contents.positions]

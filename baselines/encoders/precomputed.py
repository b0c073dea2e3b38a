"""The `precomputed` encoder: vectors that were made elsewhere, of media and of texts, looked up instead of encoded.

Files: .npy (float [n, dim]), .npz (arrays `vectors` and, if you like, `names`), .safetensors (tensor `vectors`). Whose
a row is, is said by names (of media: what the dataset calls them; of texts: the texts themselves), in the .npz or as a
JSON list in a file of its own; without names rows stand in the order of one split, which is then named.
"""

from __future__ import annotations

import json
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.dataset import Contents, Modality, Pairs, Unavailable
from harness.instruments import Encoder

BLOCK = 1 << 16  # rows looked at together
SHOWN = 3  # names in a message


class PrecomputedEncoder(Encoder):
    modalities: tuple[Modality, ...] = ("text", "image", "audio", "video")

    def __init__(
        self,
        media: Path | str,
        text: Path | str,
        media_names: Path | str | None = None,
        text_names: Path | str | None = None,
        split: str | None = None,
    ) -> None:
        self.files = {"media": Path(media), "text": Path(text)}
        names = {"media": media_names, "text": text_names}
        self.names = {side: Path(name) if name else None for side, name in names.items()}
        self.split = split

    def fit(self, train: Pairs, validation: Pairs) -> None:
        """Nothing is learnt; what is wrong with the files is said before anything is made from them."""
        media, text = self.tables
        if media.dim != text.dim:
            raise Unavailable(
                f"{media.path} holds vectors of dimension {media.dim} and {text.path} of {text.dim}: they are of "
                "different encoders; name two files that one encoder made"
            )
        for table in self.tables:
            table.check()
        self.dim = media.dim

    @cached_property
    def tables(self) -> tuple[Table, Table]:
        media, text = (Table(self.files[side], self.names[side], self.split) for side in ("media", "text"))
        return media, text

    def encode(self, contents: Contents) -> np.ndarray:
        table = self.tables[contents.modality == "text"]
        found = np.asarray(table.vectors[table.rows(contents)], np.float32).reshape(len(contents), self.dim)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def save(self, folder: Path) -> None:
        (folder / "precomputed.json").write_text(json.dumps({"dim": self.dim}))

    def load(self, folder: Path) -> None:
        self.dim = json.loads((folder / "precomputed.json").read_text())["dim"]


class Table:
    """The vectors of one side, and whose they are."""

    def __init__(self, path: Path, names: Path | None, split: str | None) -> None:
        self.path, self.split = path, split
        self.vectors, inside = _read(path)
        if self.vectors.ndim != 2 or self.vectors.dtype.kind != "f" or not all(self.vectors.shape):
            raise Unavailable(
                f"{path} holds {self.vectors.dtype} of shape {self.vectors.shape}; expected floats of shape [rows, "
                "dimensions]"
            )
        self.dim = self.vectors.shape[1]
        told = _names(names) if names else inside
        if told is None and split is None:
            raise Unavailable(
                f"{path}: nothing says whose rows these are; name a JSON list of names for it, or write `split: test` "
                "if they stand in the order of that split"
            )
        self.places = None if told is None else self._placed(told, names or path)

    def _placed(self, names: list[str], where: Path) -> dict[str, int]:
        if len(names) != len(self.vectors):
            raise Unavailable(
                f"{self.path} has {len(self.vectors):,} rows and {where} {len(names):,} names; expected a name a row"
            )
        places: dict[str, int] = {}
        for row, name in enumerate(names):
            before = places.setdefault(name, row)
            if before != row and not np.array_equal(self.vectors[before], self.vectors[row]):
                raise Unavailable(
                    f"{where}: {name!r} names the rows {before} and {row}, which differ; keep one of them"
                )
        return places

    def check(self) -> None:
        """NaN, infinity and rows of zeros have no direction."""
        for start in range(0, len(self.vectors), BLOCK):
            block = np.asarray(self.vectors[start : start + BLOCK], np.float32)
            lengths = np.linalg.norm(block, axis=1)
            wrong = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
            if len(wrong):
                row = start + int(wrong[0])
                what = "nothing but zeros" if np.isfinite(lengths[wrong[0]]) else "NaN or infinity"
                raise Unavailable(f"{self.path}: row {row} holds {what}; make the vectors again")

    def rows(self, contents: Contents) -> np.ndarray:
        """int64 [n]: where the vector of each of the contents stands."""
        if self.places is None:
            return self._by_position(contents)
        keys = list(contents) if contents.modality == "text" else contents.names
        if keys is None:
            raise ValueError(f"{self.path}: vectors go by the names of items, and this {contents.modality} has none")
        missing = [key for key in keys if key not in self.places]
        if missing:
            more = f" and {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else ""
            raise ValueError(
                f"{self.path}: no vectors for {len(missing):,} of {len(keys):,} {contents.modality} contents: "
                f"{', '.join(map(repr, missing[:SHOWN]))}{more}; it has "
                f"{', '.join(map(repr, list(self.places)[:SHOWN]))}, …: add what is missing, or name another encoder"
            )
        return np.array([self.places[key] for key in keys], np.int64)

    def _by_position(self, contents: Contents) -> np.ndarray:
        if self.split not in contents.source.split(":"):
            raise ValueError(
                f"{self.path}: its rows are those of the split {self.split}, and what is asked for is {contents.source}"
                ": name a JSON list of names for it, which serves all splits"
            )
        positions, count = contents.positions, len(self.vectors)
        whole = len(positions) and np.array_equal(np.sort(positions), np.arange(len(positions)))
        if (whole and len(positions) > count) or (len(positions) and positions.max() >= count):
            raise ValueError(
                f"{self.path} has {count:,} rows; expected {int(positions.max()) + 1:,}, one for each "
                f"{contents.modality} of the split {self.split}"
            )
        return positions


def _read(path: Path) -> tuple[Any, list[str] | None]:
    """The vectors, mapped where the format allows it, and the names beside them. No pickles."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False), None
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as inside:
                names = [str(name) for name in inside["names"]] if "names" in inside else None
                return inside["vectors"], names
        if path.suffix == ".safetensors":
            return load_file(path)["vectors"], None
    except KeyError as error:
        raise Unavailable(f"{path} has no array called `vectors`; write it under that name") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, SafetensorError) as error:
        words = str(error).strip().splitlines() or [repr(error)]
        raise Unavailable(
            f"{path}: no vectors can be read from it ({words[0]}); expected plain numbers as .npy, .npz or "
            ".safetensors, nothing pickled"
        ) from error
    raise Unavailable(f"{path}: expected a name that ends in .npy, .npz or .safetensors")


def _names(path: Path) -> list[str]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"{path}: it can't be read ({error}); expected a JSON list of names, one for each row"
        ) from error
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise Unavailable(f"{path} is no list of texts; expected a JSON list of names, one for each row")
    return found

"""Reads files of vectors made elsewhere: .npy, .npz and .safetensors, plain numbers only.

Manifests and encoders call it. A file that isn't there is `Unavailable`; one that holds something else than vectors is
`BadInput`.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from harness.contract.dataset import Unavailable
from harness.contract.problems import BadInput

BLOCK = 1 << 16  # rows looked at together


def read(path: Path) -> tuple[Any, list[str] | None]:
    """Floats [rows, dim], mapped where the format allows it, and the names beside them where there are some."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    names = None
    try:
        if path.suffix == ".npy":
            vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as inside:
                names = [str(name) for name in inside["names"]] if "names" in inside else None
                vectors = inside["vectors"]
        elif path.suffix == ".safetensors":
            vectors = load_file(path)["vectors"]
        else:
            raise BadInput(f"{path}: expected a name that ends in .npy, .npz or .safetensors")
    except FileNotFoundError as error:
        raise Unavailable(f"no vectors at {path}; put the file there, or name where it is") from error
    except KeyError as error:
        raise BadInput(f"{path} has no array called `vectors`; write it under that name") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, SafetensorError) as error:
        words = str(error).strip().splitlines() or [repr(error)]
        raise BadInput(
            f"{path}: no vectors can be read from it ({words[0]}); expected plain numbers as .npy, .npz or "
            ".safetensors, nothing pickled"
        ) from error
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or not all(vectors.shape):
        raise BadInput(
            f"{path} holds {vectors.dtype} of shape {vectors.shape}; expected floats of shape [rows, dimensions]"
        )
    return vectors, names


def names(path: Path) -> list[str]:
    """A JSON list of names, one for each row."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise Unavailable(f"no names at {path}; put a JSON list there, a name for each row") from error
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path}: it can't be read ({error}); expected a JSON list of names, one for each row"
        ) from error
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise BadInput(f"{path} is no list of texts; expected a JSON list of names, one for each row")
    return found


def check(vectors: Any, path: Path) -> None:
    """NaN, infinity and rows of zeros have no direction."""
    for start in range(0, len(vectors), BLOCK):
        lengths = np.linalg.norm(np.asarray(vectors[start : start + BLOCK], np.float32), axis=1)
        wrong = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
        if len(wrong):
            what = "nothing but zeros" if np.isfinite(lengths[wrong[0]]) else "NaN or infinity"
            more = f" ({len(wrong):,} rows like it among the {len(lengths):,} looked at)" if len(wrong) > 1 else ""
            raise BadInput(f"{path}: row {start + int(wrong[0])} holds {what}{more}; make the vectors again")

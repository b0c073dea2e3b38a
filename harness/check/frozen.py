"""What is learnt or sampled comes out otherwise on every machine. A reference holds it frozen, as artifacts of the
store, so that a run that begins with them is like the reference's wherever it runs; all else is made by the run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path

from harness.store.artifacts import MANIFEST
from harness.store.run_folder import RunFolder

FOLDER = "store"  # of a reference
INSTRUMENTS = ("encoder", "captioner", "captions")  # kinds of artifacts that are always frozen


def thaw(reference: Path, store: Path) -> None:
    """A store that begins with what the reference has frozen, if it has anything."""
    if (reference / FOLDER).is_dir():
        shutil.copytree(reference / FOLDER, store)


def freeze(store: Path, run: RunFolder, learning: Collection[str], target: Path) -> None:
    """Those of the artifacts that the run used; `learning`: kinds of retrievers whose indexes are trained."""
    costs = [each["cost"]["artifacts"] for each in run.records() if each["cost"]]
    used = {(name.split()[0], artifact["digest"][:40]) for each in costs for name, artifact in each.items()}
    for kind, digest in sorted(used):
        folder = store / kind / digest
        if not folder.is_dir():  # something frozen was made from it, once
            continue
        if kind in INSTRUMENTS or (kind == "retriever" and _of(folder) in learning):
            shutil.copytree(folder, target / kind / digest)


def _of(folder: Path) -> str:
    """The kind of the retriever whose artifact this is."""
    return str(json.loads((folder / MANIFEST).read_bytes())["config"]["about"]["kind"])

"""A hub's cache with tiny checkpoints under the names that suites have, in the files that the hub has of each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import tiny_checkpoints
from hub import fetched
from judges import judge

WIDE = 64  # of a vector: PQ64 takes it apart


def _blip(folder: Path) -> Path:
    shutil.copytree(judge("blip"), folder, dirs_exist_ok=True)
    return tiny_checkpoints.pickled(folder)


Makers = Mapping[str, Callable[[Path], Path]]
MADE: Makers = {
    "openai/clip-vit-base-patch32": lambda folder: tiny_checkpoints.clip(folder, WIDE),
    "google/siglip-base-patch16-224": tiny_checkpoints.siglip,
    "laion/clap-htsat-unfused": lambda folder: tiny_checkpoints.pickled(tiny_checkpoints.clap(folder, dim=WIDE)),
    "Salesforce/blip-itm-base-coco": _blip,
    "google-t5/t5-small": tiny_checkpoints.t5,
}
OPEN_CLIP: Makers = {"timm/vit_base_patch32_clip_224.openai": tiny_checkpoints.open_clip}
# What laion_clap asks the hub for as soon as it is imported.
LAION: Makers = dict.fromkeys(("roberta-base", "bert-base-uncased", "facebook/bart-base"), tiny_checkpoints.laion_texts)


def here(package: str) -> bool:
    """Whether this environment has a package that `make test` leaves out."""
    return find_spec(package) is not None


def fill(cache: Path) -> None:
    """All that packages of this environment can load."""
    put(cache, {**MADE, **(OPEN_CLIP if here("open_clip") else {}), **(LAION if here("laion_clap") else {})})


def put(cache: Path, made: Makers) -> None:
    for name, make in made.items():
        with tempfile.TemporaryDirectory() as folder:
            fetched(cache, name, make(Path(folder)))

"""A hub's cache with tiny checkpoints under the names that suites have, in the files that the hub has of each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import tiny_checkpoints
from hub import fetched
from judges import judge

WIDE = 64  # of a vector: PQ64 takes it apart


def _blip(folder: Path) -> Path:
    shutil.copytree(judge("blip"), folder, dirs_exist_ok=True)
    return tiny_checkpoints.pickled(folder)


MADE: Mapping[str, Callable[[Path], Path]] = {
    "openai/clip-vit-base-patch32": lambda folder: tiny_checkpoints.clip(folder, WIDE),
    "google/siglip-base-patch16-224": tiny_checkpoints.siglip,
    "laion/clap-htsat-unfused": lambda folder: tiny_checkpoints.pickled(tiny_checkpoints.clap(folder, dim=WIDE)),
    "Salesforce/blip-itm-base-coco": _blip,
    "google-t5/t5-small": tiny_checkpoints.t5,
}


def fill(cache: Path, scratch: Path) -> None:
    for number, (name, make) in enumerate(MADE.items()):
        folder = scratch / str(number)
        folder.mkdir(parents=True)
        fetched(cache, name, make(folder))

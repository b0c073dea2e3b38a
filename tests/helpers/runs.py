"""What tests of whole runs share: a suite so small that it runs in seconds, and what to compare afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]

TINY = """\
name: tiny
k: [1, 5]
scenarios: {offline: {rounds: 2, cap_s: 5}, single: {queries: 4, cap_s: 2}}
datasets:
  sounds:   {kind: soundscapes, train: 48, validation: 16, test: 24}
  pictures: {kind: shapes, train: 48, validation: 16, test: 24}
encoders:
  audio: {kind: small, trained_on: sounds, steps: 3, batch: 16, dim: 16}
  image: {kind: small, trained_on: pictures, steps: 3, batch: 16, dim: 16}
tasks:
  - {dataset: sounds, encoder: audio}
  - {dataset: pictures, encoder: image}
retrievers:
  random: {kind: random}
  oracle: {kind: oracle}
  dual:   {kind: dual_tower, index: exact}
  hnsw:   {kind: dual_tower, index: "HNSW8,Flat", search: {efSearch: 8}}
"""


def python_path(*folders: Path) -> str:
    """This project and these folders first, then what the tests themselves were given."""
    return os.pathsep.join([*map(str, (ROOT, *folders)), *filter(None, [os.environ.get("PYTHONPATH")])])


def environment(cache: Path, tables: str = "text") -> dict[str, str]:
    """`tables`: plots and the page take seconds, and most runs of tests need none."""
    ours = {"HARNESS_CACHE": str(cache), "HARNESS_TABLES": tables, "HF_HUB_OFFLINE": "1", "PYTHONPATH": python_path()}
    return {**os.environ, **ours}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "harness", *map(str, arguments)]


def harness(
    cache: Path, *arguments: object, timeout: float = 120, tables: str = "text"
) -> subprocess.CompletedProcess[str]:
    """The command line as a user calls it."""
    return subprocess.run(
        command(*arguments), env=environment(cache, tables), cwd=ROOT, capture_output=True, text=True, timeout=timeout
    )


def records(out: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_bytes()) for path in sorted((out / "records").glob("*.json"))}


def results(out: Path) -> dict[str, Any]:
    """All that must not depend on when and how often a run was interrupted."""
    found = {}
    for name, record in records(out).items():
        with np.load(out / "rankings" / f"{name}.npz") as arrays:
            ranking = {key: arrays[key].tolist() for key in arrays.files}
        found[name] = (record["status"], record["metrics"], ranking)
    return found

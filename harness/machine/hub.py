"""The hub's cache on this machine, as its client leaves it; read without importing that."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """Where the hub's client keeps what it fetched."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home, "hub")).expanduser()


def snapshot(name: str) -> Path | None:
    """The folder of org/name or org/name@revision in the cache; None where nothing of it was fetched."""
    repository, _, revision = name.partition("@")
    place = cache() / f"models--{repository.replace('/', '--')}"
    reference = place / "refs" / (revision or "main")
    commit = reference.read_text().strip() if reference.is_file() else revision
    folder = place / "snapshots" / commit
    return folder if commit and folder.is_dir() else None


def pinned(name: str) -> str:
    """A hub id with the commit that is here, so that a checkpoint fetched anew is another one; else the id as it is."""
    folder = snapshot(name.removeprefix("hf-hub:"))
    return f"{name.partition('@')[0]}@{folder.name}" if folder else name

"""A hub's cache as its client leaves it: files under their digests, linked to by name."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def fetched(cache: Path, name: str, source: Path) -> Path:
    """Put the files of a folder into the cache as org/name; the snapshot's folder."""
    place = cache / f"models--{name.replace('/', '--')}"
    folder = place / "snapshots" / COMMIT
    for part in (place / "blobs", place / "refs", folder):
        part.mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text(COMMIT)
    for path in (each for each in source.iterdir() if each.is_file()):
        blob = place / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
        shutil.copyfile(path, blob)
        link = folder / path.name
        link.unlink(missing_ok=True)
        link.symlink_to(Path("../../blobs") / blob.name)
    return folder

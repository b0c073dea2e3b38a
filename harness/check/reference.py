"""A reference: what the gate needs of a run, committed beside the code, and refused where a single byte has changed.

reference.json   every other file with its size and SHA-256, sealed, in one spelling only
suite.yaml  tasks/  records/  rankings/      as in a run's folder
store/           what was learnt, frozen: see `harness.check.frozen`
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from harness.check import frozen
from harness.check.verdict import named
from harness.contract.problems import BadInput, last_line
from harness.machine import files
from harness.store.run_folder import RunFolder

SCHEMA = 1
MANIFEST = "reference.json"
TAKEN = ("suite.yaml", "tasks/*.json.gz", "records/*.json", "rankings/*.npz")  # globs in a run's folder
MEND = "get it from your version control again, or make it anew with `check RUN --against REFERENCE --update`"


class BadReference(BadInput):
    """It isn't what was written."""


def open_reference(root: Path) -> RunFolder:
    """The folder, once every byte of it is known to be what was written; else `BadReference`."""
    if not (root / MANIFEST).is_file():
        raise BadReference(f"{root}: no reference (there is no {MANIFEST} in it); expected the folder of one; {MEND}")
    listed = _manifest(root / MANIFEST)["files"]
    present = set(_present(root))
    for name in sorted(present ^ listed.keys()):
        wrong = "is missing" if name in listed else "is no part of it"
        raise BadReference(f"{root / name} {wrong}; {MEND}")
    for name, expected in listed.items():
        path = root / name
        if path.stat().st_size != expected["bytes"] or files.file_digest(path) != expected["sha256"]:
            raise BadReference(f"{path} was altered since the reference was written; {MEND}")
    return RunFolder(root)


def write_reference(run: RunFolder, root: Path, store: Path | None = None, learning: Collection[str] = ()) -> None:
    """What the gate needs of a run, in place of what was there, whole or not at all.

    With the `store` that the run began with empty or thawed what it has learnt is frozen; else what is frozen stays.
    """
    if root.exists() and any(root.iterdir()) and not (root / MANIFEST).exists():
        raise BadInput(f"{root}: holds other things than a reference; it is left as it is; name an empty or new folder")
    _refuse_failed(run)
    half, old = (root.with_name(f".{root.name}.{uuid.uuid4().hex[:8]}.{end}") for end in ("new", "old"))
    half.mkdir(parents=True)
    try:
        for glob in TAKEN:
            for path in sorted(run.root.glob(glob)):
                target = half / path.relative_to(run.root)
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(path, target)
        if store is None:
            frozen.thaw(root, half / frozen.FOLDER)
        else:
            frozen.freeze(store, run, learning, half / frozen.FOLDER)
        listed = {
            name: {"bytes": (half / name).stat().st_size, "sha256": files.file_digest(half / name)}
            for name in _present(half)
        }
        files.write_json(half / MANIFEST, files.sealed({"schema": SCHEMA, "files": listed}))
        if root.exists():
            root.rename(old)
        try:
            half.rename(root)
        except BaseException:
            if old.exists():
                old.rename(root)
            raise
    finally:
        shutil.rmtree(half, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _refuse_failed(run: RunFolder) -> None:
    """What doesn't work would be held to be right, and never asked for again."""
    failed = [
        f"{named(each['task'], each['retriever'], each['seed'])} failed: {last_line(each['reason'] or '')}"
        for each in run.records()
        if each["status"] == "failed"
    ]
    broken = [problem for session in run.journal()["sessions"][-1:] for problem in session.get("broken", [])]
    if failed or broken:
        raise BadInput(
            f"{run.root} can't be a reference: {'; '.join([*failed, *broken])}; expected cells that work; mend these, "
            "or leave them out of the suite"
        )


def _present(root: Path) -> Iterator[str]:
    names = (path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if not path.is_dir())
    return (name for name in names if name != MANIFEST)


def _manifest(path: Path) -> dict[str, Any]:
    try:
        written = path.read_bytes()
        manifest = json.loads(written)
    except (OSError, ValueError) as error:
        raise BadReference(f"{path} can't be read ({error}); {MEND}") from error
    if not files.unbroken(manifest) or files.json_bytes(manifest) != written or manifest.get("schema") != SCHEMA:
        raise BadReference(f"{path} was altered since it was written; {MEND}")
    return manifest

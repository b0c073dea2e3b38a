"""The content-addressed store of all that is expensive to make: trained weights, vectors, indexes.

An artifact is a folder named by a digest of everything that shaped it. It is written once, under a lock, moved into
place when complete, verified when read, and holds the seconds and memory that it cost, so that reuse hides no cost.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.contract.store import Artifact, Recipe
from harness.machine import disk, files, finite
from harness.machine.memory import Memory
from harness.machine.progress import say

SCHEMA = 1
MANIFEST = "manifest.json"


@dataclass
class Frame:
    """The costs of work in progress: its own seconds, and the artifacts that it used."""

    seconds: dict[str, float] = field(default_factory=dict)
    used: dict[str, dict[str, Any]] = field(default_factory=dict)  # digest → {kind, label, seconds by phase, peak_mb}
    phase: str = "fit"
    since: float = field(default_factory=time.perf_counter)
    peak: float = 0.0

    def settle(self) -> None:
        """Book the seconds since the last call to the phase in progress."""
        now = time.perf_counter()
        self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + now - self.since
        self.since = now

    def book(self, manifest: Mapping[str, Any]) -> None:
        """Book an artifact and its ancestors. What an index is made from is a cost of indexing; so with adding."""
        for name, entry in [(manifest["digest"], manifest), *manifest["used"].items()]:
            seconds = entry["seconds"]
            if self.phase != "fit":
                seconds = {self.phase: sum(seconds.values())}
            entry = {"kind": entry["kind"], "label": entry["label"], "seconds": seconds, "peak_mb": entry["peak_mb"]}
            self.used.setdefault(name, entry)


class Broken(Exception):
    """A stored artifact isn't what was written."""


class Store:
    """All artifacts below one folder. Several processes may share it.

    `fresh`: every artifact that is requested is made anew, once, and replaces the stored one.
    """

    def __init__(self, root: Path, fresh: bool = False) -> None:
        self.root, self.fresh = root, fresh
        self.frames: list[Frame] = []
        self.verified: dict[str, Artifact] = {}  # or made, by this process
        self.current: set[str] = set()  # digests of artifacts that another process made for this run
        self.failed: dict[str, tuple[BaseException, TracebackType | None]] = {}  # what couldn't be built, and why

    def folder(self, recipe: Recipe) -> Path:
        return self.root / recipe.kind / recipe.digest[:40]

    def scratch(self, recipe: Recipe) -> Path:
        """A folder for checkpoints of an artifact in the making: kept after a kill, removed when it is made."""
        return self.root / "unfinished" / recipe.digest[:40]

    def make(self, recipe: Recipe, build: Callable[[Path], None], needs: int = 0) -> Artifact:
        """The artifact of this recipe: found, or built into an empty folder by `build`, once, even if that fails.

        `needs`: the bytes that it will take, where they are known.
        """
        if self.frames:
            self.frames[-1].settle()
        try:
            artifact = self.verified.get(recipe.digest)
            if artifact is None or not artifact.folder.exists():
                artifact = self._find_or_build(recipe, build, needs)
            self.verified[recipe.digest] = artifact
        finally:
            if self.frames:
                self.frames[-1].since = time.perf_counter()  # its cost is booked with it
        if self.frames:
            self.frames[-1].book(artifact.manifest)
        return artifact

    @contextmanager
    def ledger(self) -> Iterator[Frame]:
        """Book all artifacts used meanwhile."""
        frame = Frame()
        self.frames.append(frame)
        try:
            yield frame
            frame.settle()
        finally:
            self.frames.pop()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Book what happens meanwhile under `name`: fit, index or add."""
        if not self.frames:
            yield
            return
        frame = self.frames[-1]
        frame.settle()
        before, frame.phase = frame.phase, name
        try:
            yield
        finally:
            frame.settle()
            frame.phase = before

    def carry(self, seconds: float) -> None:
        """Book the seconds that an interrupted run had spent on the checkpoint that this one resumed."""
        if self.frames:
            spent = self.frames[-1].seconds
            spent[self.frames[-1].phase] = spent.get(self.frames[-1].phase, 0.0) + seconds

    def _find_or_build(self, recipe: Recipe, build: Callable[[Path], None], needs: int) -> Artifact:
        if recipe.digest in self.failed:
            error, place = self.failed[recipe.digest]
            say(f"    {recipe.what} failed before: it isn't tried again in this run")
            raise error.with_traceback(place)
        try:
            with self._lock(recipe):
                anew = self.fresh and recipe.digest not in self.current
                return (None if anew else self._find(recipe)) or self._build(recipe, build, needs)
        except (Exception, SystemExit) as error:
            disk.end_if_full(self.root, recipe.what, error)
            traceback.clear_frames(error.__traceback__)  # they hold models and training data
            self.failed[recipe.digest] = (error, error.__traceback__)
            raise

    @contextmanager
    def _lock(self, recipe: Recipe) -> Iterator[None]:
        """Held while an artifact is looked for and made; the system releases it when a process dies."""
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / f"{recipe.digest[:40]}.lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"    waiting: another process is making {recipe.what}")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _find(self, recipe: Recipe) -> Artifact | None:
        folder = self.folder(recipe)
        if not folder.exists():
            return None
        try:
            return Artifact(folder, self._verify(folder, recipe))
        except Broken as problem:
            aside = self.root / "set-aside" / f"{recipe.kind}-{recipe.digest[:16]}-{uuid.uuid4().hex[:6]}"
            aside.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(aside)
            say(f"    {recipe.what}: {problem}; set aside as {aside}, made again now")
            return None

    def _verify(self, folder: Path, recipe: Recipe) -> Mapping[str, Any]:
        manifest = self._manifest(folder)
        if manifest["digest"] != recipe.digest:
            raise Broken(f"{folder} holds what was made by another recipe ({manifest['kind']} {manifest['label']})")
        present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
        if present != set(manifest["files"]):
            wrong = ", ".join(sorted(present ^ set(manifest["files"])))
            raise Broken(f"{folder}: files missing or surplus: {wrong}")
        for name, expected in manifest["files"].items():
            path = folder / name
            if path.stat().st_size != expected["bytes"]:
                raise Broken(f"{path} has {path.stat().st_size} bytes, {expected['bytes']} were written")
            if files.file_digest(path) != expected["sha256"]:
                raise Broken(f"{path} was altered since it was written (its SHA-256 differs)")
        if not manifest.get("finite"):  # older ones were stored without this check
            try:
                finite.check(folder)
            except finite.NotFinite as problem:
                raise Broken(f"{folder}: {problem}") from problem
        return manifest

    def _manifest(self, folder: Path) -> dict[str, Any]:
        path = folder / MANIFEST
        try:
            manifest = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise Broken(f"{path} can't be read ({error})") from error
        if not files.unbroken(manifest) or manifest.get("schema") != SCHEMA:
            raise Broken(f"{path} was altered since it was written")
        return manifest

    def _build(self, recipe: Recipe, build: Callable[[Path], None], needs: int) -> Artifact:
        folder, scratch = self.folder(recipe), self.scratch(recipe)
        folder.parent.mkdir(parents=True, exist_ok=True)
        for stale in folder.parent.glob(f".{folder.name}.*"):  # we hold the lock: the process that began it is dead
            shutil.rmtree(stale, ignore_errors=True)
        if self.fresh:
            shutil.rmtree(scratch, ignore_errors=True)
        disk.require(self.root, recipe.what, needs - disk.held(scratch))
        half, old = (folder.parent / f".{folder.name}.{name}" for name in (os.getpid(), "old"))
        half.mkdir()
        memory = Memory(self.frames)
        try:
            with self.ledger() as frame:
                build(half)
            frame.peak = max(frame.peak, memory.risen())
            self._check(recipe, half)
            manifest = self._describe(recipe, half, frame, memory.known)
            files.write_json(half / MANIFEST, manifest)
            if folder.exists():  # removed once the new one is complete; if killed in between, it is made again
                folder.rename(old)
            half.rename(folder)
            files.sync(folder.parent)
            shutil.rmtree(old, ignore_errors=True)
            shutil.rmtree(scratch, ignore_errors=True)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise
        finally:
            memory.hand_back()
        return Artifact(folder, manifest)

    def _check(self, recipe: Recipe, folder: Path) -> None:
        try:
            finite.check(folder)
        except finite.NotFinite as problem:
            raise finite.NotFinite(
                f"{recipe.what} isn't stored: {problem}. If it was trained, its last steps diverged: lower the lr; if "
                "not, look at what it was made from"
            ) from None

    def _describe(self, recipe: Recipe, folder: Path, frame: Frame, known: bool) -> dict[str, Any]:
        listed = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            files.sync(path)
            listed[str(path.relative_to(folder))] = {"bytes": path.stat().st_size, "sha256": files.file_digest(path)}
        manifest = {
            "schema": SCHEMA,
            "kind": recipe.kind,
            "label": recipe.label,
            "digest": recipe.digest,
            "config": recipe.config,
            "seconds": {phase: round(seconds, 4) for phase, seconds in frame.seconds.items()},
            "peak_mb": round(frame.peak, 1) if known else None,
            "used": frame.used,
            "files": listed,
            "finite": True,  # its arrays were looked into
            "made": {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **made_by()},
        }
        return files.sealed(manifest)


def made_by() -> dict[str, Any]:
    """The machine and code that made an artifact: recorded, but no part of its digest."""
    from harness.machine import compute, environment

    settled = compute.current()
    return {
        "device": settled.device,
        "threads": settled.training_threads,
        "gflops": settled.choices.gflops,
        "training": str(compute.training_dtype()).removeprefix("torch."),
        "processor": environment.processor(),
        "versions": environment.versions(),
        **environment.commit(),
    }

"""A run's folder: all that report and gate need, and nothing that needs a model or a dataset to be read."""

from __future__ import annotations

import fcntl
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.contract.retriever import Ranking
from harness.machine import files
from harness.machine.progress import say
from harness.store import maps, record
from harness.store.maps import Map
from harness.store.record import Record, RecordError


class FolderBusy(Exception):
    """Another run is writing here."""


MISSING = object()


def _is_journal(found: Any) -> bool:
    return isinstance(found, dict) and all(isinstance(found.get(key), list) for key in ("cells", "sessions"))


def safe(name: str) -> str:
    return name.replace("/", "_")


def _digest_of_page(path: Path) -> str | None:
    """Of a task's page; None where it can't be read."""
    try:
        written = path.stat()
    except OSError:
        return None
    return _read_digest(path, written.st_mtime_ns, written.st_size)


@lru_cache(maxsize=256)  # all records of a task ask for the same page
def _read_digest(path: Path, *written: int) -> str | None:
    try:
        page = files.unpack_json(path.read_bytes())
    except (OSError, EOFError, ValueError, zlib.error):
        return None
    return page.get("digest") if isinstance(page, dict) else None


def cell_name(task: str, retriever: str, seed: int) -> str:
    return safe(f"{task}.{retriever}.{seed}")


@dataclass(frozen=True)
class RunFolder:
    root: Path

    def record_path(self, name: str) -> Path:
        return self.root / "records" / f"{name}.json"

    def ranking_path(self, name: str) -> Path:
        return self.root / "rankings" / f"{name}.npz"

    def odds_path(self, name: str) -> Path:
        return self.root / "odds" / f"{name}.npz"

    def map_path(self, name: str) -> Path:
        return self.root / "maps" / f"{name}.npz"

    def media_path(self, task: str) -> Path:
        """Which file of `media/` stands for which query or candidate."""
        return self.root / "media" / f"{safe(task)}.json"

    def task_path(self, task: str) -> Path:
        return self.root / "tasks" / f"{safe(task)}.json.gz"

    def stranger(self) -> str | None:
        """A file that shows that no run made this folder; None: it is new, empty or that of a run."""
        try:
            shown = sorted(each.name for each in self.root.iterdir() if not each.name.startswith("."))
        except OSError:  # there is none yet, or none can be made, which is said elsewhere
            return None
        if not shown or _is_journal(journal := self._read_journal()):
            return None
        damaged = journal is not MISSING and not isinstance(journal, dict) and (self.root / "records").is_dir()
        return None if damaged else shown[0]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One run at a time; the system lets go when a process dies."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderBusy(
                    f"{self.root}: another run is writing here; wait for it, or give --out another folder"
                ) from None
            yield

    def write_ranking(self, name: str, ranking: Ranking, queries: np.ndarray) -> str:
        """Written whole; the SHA-256 goes into the record."""
        buffer = io.BytesIO()
        arrays = {"ids": ranking.ids, "scores": ranking.scores, "query": queries}
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for key, array in arrays.items():
                part = io.BytesIO()
                np.save(part, np.ascontiguousarray(array))
                archive.writestr(zipfile.ZipInfo(f"{key}.npy"), part.getvalue())  # no clock: equal arrays, equal bytes
        path = self.ranking_path(name)
        files.write(path, buffer.getvalue())
        return files.file_digest(path)

    def write_odds(self, name: str, queries: np.ndarray, odds: np.ndarray, identifiers: np.ndarray) -> None:
        """How likely each token of some answers was; `identifiers` of all candidates. For people, not for scoring."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, query=queries, odds=odds.astype(np.float16), identifiers=identifiers)
        files.write(self.odds_path(name), buffer.getvalue())

    def read_odds(self, name: str) -> dict[str, np.ndarray] | None:
        """query [S], odds [S, k, levels], identifiers [N, levels]; None for those that generate nothing, and where they
        can't be read."""
        try:
            with np.load(self.odds_path(name), allow_pickle=False) as arrays:
                return {part: arrays[part] for part in ("query", "odds", "identifiers")}
        except maps.UNREADABLE:
            return None

    def write_map(self, name: str, found: Map) -> None:
        maps.write(self.map_path(name), found)

    def read_map(self, name: str) -> Map | None:
        """None for those that have no identifiers, and where it can't be read."""
        return maps.read(self.map_path(name))

    def read_ranking(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """ids, scores, query."""
        with np.load(self.ranking_path(name), allow_pickle=False) as arrays:
            return arrays["ids"], arrays["scores"], arrays["query"]

    def read_task(self, task: str) -> dict[str, Any]:
        return files.unpack_json(self.task_path(task).read_bytes())

    def record(self, name: str) -> Record | None:
        """The record of a cell, if there is a valid one; a broken one is reported and ignored."""
        path = self.record_path(name)
        if not path.exists():
            return None
        try:
            found = record.load(path)
        except RecordError as problem:
            say(f"    {problem}")
            return None
        doubt = self._unfounded(name, found) if found["status"] == "ok" else None
        if doubt:
            say(f"    {doubt}; {name} has to be measured again")
            return None
        return found

    def _unfounded(self, name: str, found: Record) -> str | None:
        """Why a record can't be checked: its rankings or its task are no longer here. None: it can."""
        ranking, questions = self.ranking_path(name), self.task_path(found["task"])
        if not ranking.is_file() or files.file_digest(ranking) != found["rankings"]:
            return f"{ranking}: missing, or altered since it was written"
        if found["data"] is None or _digest_of_page(questions) != found["data"]["digest"]:
            return f"{questions}: missing, altered, or other questions than this record's"
        return None

    def records(self) -> list[Record]:
        """Every sound record: in the suite's order those of the last run's cells, then any others."""
        present = sorted(path.stem for path in (self.root / "records").glob("*.json"))
        known = set(present)
        listed = [name for name in map(str, self.journal()["cells"]) if name in known]
        found = [self.record(name) for name in dict.fromkeys([*listed, *present])]
        return [each for each in found if each is not None]

    def journal(self) -> dict[str, Any]:
        """`run.json`: sessions, newest last; and the cells of the last one."""
        journal = self._read_journal()
        if _is_journal(journal):
            return journal
        if journal is not MISSING:
            path = self.root / "run.json"
            say(f"    {path}: no readable journal; the next run begins a new one, records stay as they are")
        return {"cells": [], "sessions": []}

    def _read_journal(self) -> Any:
        """`run.json`, or MISSING; None where it can't be read."""
        try:
            return json.loads((self.root / "run.json").read_bytes())
        except FileNotFoundError:
            return MISSING
        except (OSError, ValueError):
            return None

    def write_journal(self, journal: dict[str, Any]) -> None:
        files.write_json(self.root / "run.json", journal)

"""What became of files that were tried, kept in `media.sqlite` of the cache so that nothing is tried twice.

`scan` asks it. It is a convenience: where it is damaged it is set aside and begun anew, where it can't be written the
run goes on without it. Only what decoding found is kept, never what the system did meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.data.media.decoding import decoder
from harness.data.media.job import Job, Verdict
from harness.machine.progress import say

FILE = "media.sqlite"
# An earlier table, `verdicts`, holds some that blame a file for a decoder that was killed.
KEPT = """create table if not exists found (
    path blob, decoder text, size integer, changed integer, digest text, why text, primary key (path, decoder))"""
SYSTEM = ("BUSY", "LOCKED", "FULL", "READONLY", "CANTOPEN", "IOERR", "PERM", "NOMEM")  # errors that are no damage


class Verdicts:
    def __init__(self, cache: Path | None) -> None:
        """Without a `cache` nothing outlives this object."""
        self._file: Path | None = None
        if cache is not None:
            cache.mkdir(parents=True, exist_ok=True)
            self._file = cache / FILE
        self._known: sqlite3.Connection | None = None
        self._open()

    def find(self, job: Job) -> Verdict | None:
        """The verdict on a file that is still what it was."""
        now = _now(job.path)
        if now is None:
            return None
        key = (_name(job.path), _asked(job), now.st_size, now.st_mtime_ns)
        row = self._ask(
            "select digest, why from found where path = ? and decoder = ? and size = ? and changed = ?", key
        )
        return Verdict(*row) if row else None

    def keep(self, job: Job, verdict: Verdict) -> None:
        now = _now(job.path)
        if now is not None:
            values = (_name(job.path), _asked(job), now.st_size, now.st_mtime_ns, verdict.digest, verdict.why)
            self._ask("insert or replace into found values (?, ?, ?, ?, ?, ?)", values)

    def commit(self) -> None:
        self._ask("commit")

    def close(self) -> None:
        if self._known is not None:
            self._known.close()
        self._known = None

    def _open(self) -> None:
        try:
            self._known = sqlite3.connect(self._file or ":memory:", timeout=60, isolation_level="IMMEDIATE")
        except sqlite3.Error as error:
            self._fail(error)
        else:
            self._ask(KEPT)

    def _ask(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """The first row of the answer, if any."""
        try:
            if self._known is None:
                return None
            if statement == "commit":
                self._known.commit()
                return None
            return self._known.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            self._fail(error)
            return None

    def _fail(self, error: sqlite3.Error) -> None:
        self.close()
        file, self._file = self._file, None
        name = getattr(error, "sqlite_errorname", None) or ""
        if file is None or any(word in name for word in SYSTEM):
            say(f"    {file or FILE} can't be used ({error}): this run remembers nothing of the files that it tries")
            return
        aside = file.with_name(f"{FILE}.damaged")
        try:
            file.replace(aside)
            for ending in ("-journal", "-wal", "-shm"):  # they would be applied to the new one
                file.with_name(FILE + ending).unlink(missing_ok=True)
        except OSError as problem:
            say(f"    {file} is damaged ({error}) and can't be moved away ({problem.strerror}); remove it")
            return
        say(f"    {file} is damaged ({error}): set aside as {aside.name}; files are tried again")
        self._file = file
        self._open()


def _now(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _name(path: Path) -> bytes:
    return str(path.absolute()).encode("utf-8", "surrogateescape")


def _asked(job: Job) -> str:
    """What a verdict depends on besides the file."""
    wanted = {"audio": f" {job.rate} {job.longest_s:g}", "video": f" {job.frames} {job.longest_s:g}"}
    return decoder(job.modality) + wanted.get(job.modality, "")

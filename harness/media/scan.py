"""Which files are broken, known before anything is measured: each is decoded once, completely, and the verdict kept.

A verdict holds as long as the file's size and time of change, and the decoder's version, stay what they were.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from harness.media import crew
from harness.media.decoding import Job, Verdict, decoder, require
from harness.progress import track

KEPT = """create table if not exists verdicts (
    path blob, decoder text, size integer, changed integer, digest text, why text, primary key (path, decoder))"""
BATCH = 500  # verdicts written at once: what an interruption costs


def scan(jobs: Sequence[Job], cache: Path | None, label: str = "checking files") -> list[Verdict]:
    """A verdict on each file. Without a `cache` nothing is remembered."""
    if not jobs:
        return []
    require(jobs[0].modality)
    wanted = list(dict.fromkeys(job.path for job in jobs))
    byte_names = {path: str(path.absolute()).encode("utf-8", "surrogateescape") for path in wanted}
    with _opened(cache) as known:
        found: dict[Path, Verdict] = {}
        for path in wanted:
            verdict = _remembered(known, byte_names[path], path, jobs[0])
            if verdict is not None:
                found[path] = verdict
        missing = [job for job in {job.path: job for job in jobs}.values() if job.path not in found]
        answers = crew.answers([job._replace(only_try=True) for job in missing]) if missing else iter(())
        for number, (job, answer) in enumerate(zip(track(missing, label), answers, strict=True), 1):
            if answer.error is None:
                found[job.path] = answer.value
            else:
                found[job.path] = Verdict("", str(answer.error))
            if answer.error is None or not isinstance(answer.error, OSError):  # what can't be read now may be later
                _remember(known, byte_names[job.path], job, found[job.path])
            if not number % BATCH:
                known.commit()
        known.commit()
    return [found[job.path] for job in jobs]


@contextmanager
def _opened(cache: Path | None) -> Iterator[sqlite3.Connection]:
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(":memory:" if cache is None else cache / "media.sqlite", timeout=60)) as known:
        known.execute(KEPT)
        yield known


def _remembered(known: sqlite3.Connection, name: bytes, path: Path, job: Job) -> Verdict | None:
    try:
        now = path.stat()
    except OSError:
        return None
    row = known.execute(
        "select digest, why from verdicts where path = ? and decoder = ? and size = ? and changed = ?",
        (name, _decoder(job), now.st_size, now.st_mtime_ns),
    ).fetchone()
    return Verdict(*row) if row else None


def _remember(known: sqlite3.Connection, name: bytes, job: Job, verdict: Verdict) -> None:
    try:
        now = job.path.stat()
    except OSError:
        return
    known.execute(
        "insert or replace into verdicts values (?, ?, ?, ?, ?, ?)",
        (name, _decoder(job), now.st_size, now.st_mtime_ns, verdict.digest, verdict.why),
    )


def _decoder(job: Job) -> str:
    return f"{decoder(job.modality)} {job.frames}" if job.modality == "video" else decoder(job.modality)

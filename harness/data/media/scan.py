"""Which files are broken, known before anything is measured: each is decoded once, completely, and the verdict kept.

A verdict holds as long as the file's size and time of change, and the decoder's version, stay what they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from harness.data.media import crew
from harness.data.media.decoding import require
from harness.data.media.errors import described
from harness.data.media.job import Job, Verdict
from harness.data.media.verdicts import Verdicts
from harness.machine.progress import track

BATCH = 500  # verdicts written at once: what an interruption costs


def scan(jobs: Sequence[Job], cache: Path | None, label: str = "checking files") -> list[Verdict]:
    """A verdict on each file. Without a `cache` nothing is remembered."""
    if not jobs:
        return []
    require(jobs[0].modality)
    wanted = {job.path: job for job in jobs}
    with closing(Verdicts(cache)) as known:
        found = {path: verdict for path, job in wanted.items() if (verdict := known.find(job)) is not None}
        missing = [job for path, job in wanted.items() if path not in found]
        answers = crew.answers([job._replace(only_try=True) for job in missing]) if missing else iter(())
        for number, (job, answer) in enumerate(zip(track(missing, label), answers, strict=True), 1):
            verdict = answer.value if answer.error is None else Verdict("", *described(answer.error))
            found[job.path] = verdict
            if verdict.cause == "broken":  # all else may be otherwise next time
                known.keep(job, verdict)
            if not number % BATCH:
                known.commit()
        known.commit()
    return [found[job.path] for job in jobs]

"""Worker processes that decode side by side, their answers in the order of the jobs, never many of them waiting.

Workers stay for the next time they are needed and go when this process does.
"""

from __future__ import annotations

import atexit
import fcntl
import selectors
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from harness.data.media import worker
from harness.data.media.errors import Stopped
from harness.data.media.job import Job
from harness.machine import environment
from harness.machine.compute import available_threads

MOST_WORKERS = 8
AHEAD = 2  # answers a worker that may wait to be taken
LIMIT_S = 300.0  # for one file
PIPE = 1 << 20
COMMAND = (
    sys.executable,
    "-P",
    "-m",
    "harness.data.media.worker",
)  # -P: no imports from the current folder


class Answer(NamedTuple):
    """What a worker made of a job, or the error that it met: `Undecodable`, `Stopped`, or the system's own."""

    value: Any
    error: Exception | None


class Worker:
    def __init__(self) -> None:
        alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment.for_child(**alone),
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.jobs, self.answers = self.process.stdin, self.process.stdout
        with suppress(OSError, AttributeError):  # where the system has none so wide, it takes more turns
            fcntl.fcntl(self.answers, fcntl.F_SETPIPE_SZ, PIPE)
        self.busy: int | None = None  # the number of its job
        self.since, self.longest_s = 0.0, 0.0
        self.ready = False

    def begin(self, number: int, job: Job) -> None:
        self.busy, self.since = number, time.monotonic()
        self.longest_s = job.longest_s
        with suppress(BrokenPipeError):  # the worker is dead, as `answer` will find
            # Absolute: the worker stays in the folder where it was started.
            worker.write(self.jobs, job._replace(path=job.path.absolute()))  # type: ignore[arg-type]

    def answer(self) -> Answer:
        """Wait for the job's end. If the worker died, that says nothing about the file."""
        self.busy = None
        try:
            if not self.ready:
                self.ready = bool(worker.read(self.answers))  # type: ignore[arg-type]
            fine, value = worker.read(self.answers)  # type: ignore[arg-type]
        except (EOFError, OSError):
            code = self.process.wait()
            if not self.ready and code >= 0:
                raise RuntimeError(
                    f"no process could be started for decoding: {shlex.join(COMMAND)} ends at once"
                ) from None
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return Answer(None, Stopped(f"the decoder ended while at it ({how})"))
        return Answer(value, None) if fine else Answer(None, value)

    def stop(self) -> None:
        self.process.kill()
        for stream in (self.jobs, self.answers):
            with suppress(OSError):
                stream.close()
        self.process.wait()


_idle: list[Worker] = []


@atexit.register
def dismiss() -> None:
    """Send all idle workers away."""
    while _idle:
        _idle.pop().stop()


def answers(jobs: Sequence[Job], most: int = MOST_WORKERS) -> Iterator[Answer]:
    """Of each job in turn. At most `AHEAD` a worker are held at once, however slowly they are taken.

    One whose worker was stopped is tried once more, alone: beside others it may have lacked memory or time.
    """
    crew = _Crew(jobs, max(1, min(most, available_threads(), len(jobs))))
    try:
        for wanted in range(len(jobs)):
            answer = crew.take(wanted)
            yield crew.alone(wanted) if isinstance(answer.error, Stopped) else answer
    finally:
        crew.part()


class _Crew:
    """The workers of one sequence of jobs, and the answers that wait for their turn."""

    def __init__(self, jobs: Sequence[Job], count: int) -> None:
        self.jobs = jobs
        self.begun = 0
        self.waiting: dict[int, Answer] = {}
        self.selector = selectors.DefaultSelector()
        self.workers: list[Worker] = []
        for _ in range(count):
            self._join(_hire())

    def take(self, wanted: int) -> Answer:
        while True:
            for each in self.workers:
                if each.busy is None and self.begun < min(wanted + AHEAD * len(self.workers), len(self.jobs)):
                    each.begin(self.begun, self.jobs[self.begun])
                    self.begun += 1
            if not self._wait(0.0 if wanted in self.waiting else 1.0) and wanted in self.waiting:
                return self.waiting.pop(wanted)

    def alone(self, wanted: int) -> Answer:
        """Once all others are done with theirs."""
        while any(each.busy is not None for each in self.workers):
            self._wait(1.0)
        self.workers[0].begin(wanted, self.jobs[wanted])
        while wanted not in self.waiting:
            self._wait(1.0)
        return self.waiting.pop(wanted)

    def _wait(self, seconds: float) -> bool:
        """Collect answers and replace workers over their time limit; returns whether any answer came."""
        ready = self.selector.select(seconds)
        for key, _ in ready:
            self._collect(key.data)
        now = time.monotonic()
        for each in list(self.workers):
            limit_s = max(LIMIT_S, each.longest_s / 6)  # a larger limit on length means a larger one on time
            if each.busy is not None and now - each.since > limit_s:
                self.waiting[each.busy] = Answer(None, Stopped(f"decoding it took more than {limit_s:.0f} s"))
                self._replace(each)
        return bool(ready)

    def part(self) -> None:
        """Keep idle workers for the next sequence; stop the others."""
        self.selector.close()
        for each in self.workers:
            if each.busy is None and each.process.poll() is None:
                _idle.append(each)
            else:
                each.stop()

    def _join(self, each: Worker) -> None:
        self.workers.append(each)
        self.selector.register(each.answers, selectors.EVENT_READ, each)

    def _collect(self, each: Worker) -> None:
        number = each.busy
        answer = each.answer()
        if number is not None:
            self.waiting[number] = answer
        if each.process.poll() is not None:
            self._replace(each)

    def _replace(self, each: Worker) -> None:
        self.selector.unregister(each.answers)
        self.workers.remove(each)
        each.stop()
        self._join(Worker())


def _hire() -> Worker:
    while _idle:
        known = _idle.pop()
        if known.process.poll() is None:
            return known
        known.stop()
    return Worker()

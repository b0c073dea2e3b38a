"""Calls a function in a process of its own, so that outside code may hang, exit or crash without harm to the run.

For `checks` and `isolated`. The child's output is passed on line by line; it ends with this process, at the time limit,
and when this process is interrupted.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import selectors
import signal
import subprocess
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

from harness.machine import environment, interruption
from harness.machine.progress import Plain, say, use

COMMAND = (sys.executable, "-P", "-m", "harness.contest.child")  # -P: the path comes with the job, as it is here
LAST_LINES = 20  # of its output shown when it died
LONGEST = 2000  # characters of such a line
PATIENCE = 0.2  # seconds between two looks at the clock
DIE_WITH_PARENT = 1  # Linux: PR_SET_PDEATHSIG


class Answer(NamedTuple):
    value: Any = None
    failure: str | None = None  # the traceback, or how the process ended; the last line says it in short
    raised: type[BaseException] | None = None  # an error whose message suffices: it alone is the failure


def answers(target: str, jobs: Sequence[Any], limit_s: float, hint: str = "") -> Iterator[Answer]:
    """What `target` ("module:function") returns for each job; after a death the next job gets a new process.

    `hint`: what to do about a job that takes more than `limit_s` seconds.
    """
    done = 0
    while done < len(jobs):
        for answer in _of_one_process(target, jobs[done:], limit_s, hint):
            yield answer
            done += 1


def _of_one_process(target: str, jobs: Sequence[Any], limit_s: float, hint: str) -> Iterator[Answer]:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [*COMMAND, str(writing)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[writing],
        env=environment.for_child(),
        start_new_session=True,  # a group of its own: it is ended with all that it started
    )
    os.close(writing)
    assert process.stdin is not None and process.stdout is not None
    received, last = bytearray(), deque[str](maxlen=LAST_LINES)
    lines = _Lines(last)
    selector = selectors.DefaultSelector()
    selector.register(reading, selectors.EVENT_READ, received.extend)
    selector.register(process.stdout.fileno(), selectors.EVENT_READ, lines.add)
    try:
        with suppress(BrokenPipeError):  # it is dead already, see below
            for part in (sys.path, (target, list(jobs))):
                pickle.dump(part, process.stdin)
            process.stdin.close()
        since, count, how = time.monotonic(), 0, ""
        while count < len(jobs) and not how:
            interruption.heed()
            for key, _ in selector.select(PATIENCE):
                data = os.read(key.fd, 1 << 16)
                key.data(data) if data else selector.unregister(key.fd)
            while (answer := _taken(received)) is not None:
                yield answer
                since, count = time.monotonic(), count + 1
            if reading not in {key.fd for key in selector.get_map().values()}:  # it closed its side: it is ending
                how = _end(process, PATIENCE * 10)
            elif time.monotonic() - since > limit_s:
                how = f"it took more than {limit_s:g} s and was ended{hint}"
        if how:
            lines.drain(process.stdout)
            yield Answer(failure="\n".join([*(["it said last:", *last] if last else []), how]))
    finally:
        selector.close()
        _kill(process)
        os.close(reading)
        process.stdout.close()


class _Lines:
    """Output that comes in pieces, passed on line by line."""

    def __init__(self, last: deque[str]) -> None:
        self.last, self.rest = last, b""

    def add(self, data: bytes) -> None:
        *whole, self.rest = (self.rest + data).split(b"\n")
        whole += [self.rest] if len(self.rest) > LONGEST else []
        self.rest = self.rest if len(self.rest) <= LONGEST else b""
        for line in whole:
            text = line.decode(errors="replace").rstrip()[:LONGEST]
            if text:
                self.last.append(text)
                say(text)

    def drain(self, stream: Any) -> None:
        """What is still in the pipe, without waiting for more."""
        os.set_blocking(stream.fileno(), False)
        with suppress(BlockingIOError):
            while data := os.read(stream.fileno(), 1 << 16):
                self.add(data)
        self.add(b"\n")


def _taken(received: bytearray) -> Answer | None:
    """The first whole answer, taken out."""
    if len(received) < 8 or len(received) < 8 + (size := int.from_bytes(received[:8], "little")):
        return None
    answer: Answer = pickle.loads(bytes(received[8 : 8 + size]))
    del received[: 8 + size]
    return answer


def _end(process: subprocess.Popen[bytes], patience: float) -> str:
    """How it ended."""
    try:
        code = process.wait(patience)
    except subprocess.TimeoutExpired:
        return "it broke off and had to be ended"
    if code >= 0:
        return f"its process ended with exit code {code} before it was done"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
    memory = ": memory ran out, perhaps" if -code == signal.SIGKILL else ""
    return f"its process was killed by signal {-code} ({name}){memory}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that it started, which may outlive it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _with_parent() -> None:
    with suppress(OSError, AttributeError):  # not Linux: it ends when it writes its next answer
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)


def _write(stream: BinaryIO, answer: Answer) -> None:
    data = pickle.dumps(answer)
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def plain_errors() -> tuple[type[BaseException], ...]:
    """Errors whose message suffices, so that no traceback is needed."""
    from harness.contract.dataset import Unavailable
    from harness.contract.problems import BadInput
    from harness.machine.disk import NoRoom

    return Unavailable, BadInput, NoRoom


def _answer(function: Callable[[Any], Any], job: Any) -> Answer:
    try:
        return Answer(function(job))
    except plain_errors() as reason:
        return Answer(failure=str(reason), raised=next(each for each in plain_errors() if isinstance(reason, each)))
    except BaseException:  # `sys.exit` too is a failure
        return Answer(failure=traceback.format_exc())


def main() -> None:
    _with_parent()
    os.set_inheritable(int(sys.argv[1]), False)  # its own children don't hold this end open
    stream = os.fdopen(int(sys.argv[1]), "wb")
    sys.path[:] = pickle.load(sys.stdin.buffer)
    target, jobs = pickle.load(sys.stdin.buffer)
    use(Plain())
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    for job in jobs:
        _write(stream, _answer(function, job))
    sys.stdout.flush()
    os._exit(0)  # without waiting for others' threads and exit handlers


if __name__ == "__main__":
    from harness.contest import child  # so that pickled classes are this module's, not __main__'s

    child.main()

"""The worker's side: `python -m harness.data.media.worker` reads jobs from its input and writes what became of them.

A process of its own, so that a decoder that crashes, hangs or runs out of memory ends alone. It imports no torch.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO

MOST_MEMORY = 6 << 30  # of addresses; a file that needs more than this is a bomb
LENGTH = struct.Struct("<Q")


def write(stream: BinaryIO, value: Any) -> None:
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def read(stream: BinaryIO) -> Any:
    """The next message; `EOFError` when the other side is gone."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    data = stream.read(LENGTH.unpack(head)[0])
    if len(data) < LENGTH.unpack(head)[0]:
        raise EOFError
    return pickle.loads(data)


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # not every system has such a limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _listen(jobs: BinaryIO, waiting: SimpleQueue[Any]) -> None:
    """Read jobs while others are decoded. When the process that writes them is gone, in whatever way, this one ends."""
    try:
        while True:
            waiting.put(read(jobs))
    finally:
        os._exit(0)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    _limit_memory()
    answers = os.fdopen(os.dup(1), "wb", buffering=1 << 20)
    os.dup2(2, 1)  # decoders that print don't disturb the answers

    import harness.data.media.decoding  # noqa: F401  # what jobs are made of

    write(answers, True)  # it has started
    waiting: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_listen, args=(sys.stdin.buffer, waiting), daemon=True).start()
    while True:
        write(answers, worked(waiting.get()))


def worked(job: Any) -> tuple[bool, Any]:
    """True and what became of a job, or False and the error that it met."""
    from harness.data.media.decoding import work
    from harness.data.media.errors import Stopped, Undecodable

    try:
        return True, work(job)
    except MemoryError:
        return False, Stopped(f"decoding it takes more memory than there is, or than {MOST_MEMORY >> 30} GB")
    except (Undecodable, OSError) as error:
        return False, error
    except Exception as error:
        return False, Undecodable(repr(error))


if __name__ == "__main__":
    main()

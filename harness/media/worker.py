"""The worker's side: `python -m harness.media.worker` reads jobs from its input and writes what became of them.

A process of its own, so that a decoder that crashes, hangs or eats memory takes nobody with it. It imports no torch.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
from contextlib import suppress
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


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us decides when it is over
    _limit_memory()
    answers = os.fdopen(os.dup(1), "wb", buffering=1 << 20)
    os.dup2(2, 1)  # decoders that print don't disturb the answers
    jobs = sys.stdin.buffer

    from harness.media.decoding import work
    from harness.media.errors import Undecodable

    write(answers, True)  # from here on it is a file's fault if this process ends
    while True:
        try:
            job = read(jobs)
        except EOFError:
            return
        try:
            answer: Any = (True, work(job))
        except MemoryError:
            answer = (False, Undecodable(f"decoding it takes more than {MOST_MEMORY >> 30} GB"))
        except Exception as error:
            answer = (False, error if isinstance(error, Undecodable | OSError) else Undecodable(repr(error)))
        write(answers, answer)


if __name__ == "__main__":
    main()

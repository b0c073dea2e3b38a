"""What is fast here, beside what others would use for the same work. Timed by `ratios.py` and `test_kernels.py`.

A function a kernel: it makes the input and hands over two calls without arguments, ours and the rival's. Both get the
same input in the form that each works on, made before the clock starts, and the threads of the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Kernel(NamedTuple):
    name: str  # what it does, of what size
    ours: Callable[[], Any]
    against: str = ""
    rival: Callable[[], Any] | None = None  # None: nothing else does the same work
    agree: Callable[[Any, Any], bool] = lambda ours, theirs: True  # where the two results can be compared
    why: str = ""  # the ratio is what it is


def kernels() -> Iterator[tuple[str, Callable[[], Kernel]]]:
    """Names of their functions, and those: an input is made only when its turn comes."""
    from kernels import generation, scores, searching, texts

    for module in (scores, searching, generation, texts):
        for make in module.KERNELS:
            yield make.__name__, make

"""What nobody has written reads as NaN, or as an integer's extreme, in torch and numpy alike.

`HARNESS_TEST_FILL=nan python -m pytest` runs every test so, and the processes that tests start: what depends on
uninitialised memory then fails at once, instead of once in four trainings. Called by conftest.py and sitecustomize.py.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = str(Path(__file__).parent)


def start() -> None:
    """For this process and those that it starts; torch and numpy are changed as soon as they are there."""
    if os.environ.get("HARNESS_TEST_FILL") != "nan":
        return
    path = os.environ.get("PYTHONPATH", "")
    if FOLDER not in path.split(os.pathsep):
        os.environ["PYTHONPATH"] = f"{FOLDER}{os.pathsep}{path}" if path else FOLDER
    for name in CHANGES.keys() & sys.modules.keys():
        CHANGES[name](sys.modules[name])
    sys.meta_path.insert(0, Finder())


@contextmanager
def filled() -> Iterator[None]:
    """For one test, in torch alone."""
    import torch

    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filling = torch.utils.deterministic.fill_uninitialized_memory
    change_torch(torch)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.utils.deterministic.fill_uninitialized_memory = filling


def change_torch(torch: Any) -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)  # memory is filled under it alone
    torch.utils.deterministic.fill_uninitialized_memory = True


def change_numpy(numpy: Any) -> None:
    def filling(make: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(make)
        def filled(*arguments: Any, **settings: Any) -> Any:
            array = make(*arguments, **settings)
            if array.dtype.kind in "fc":
                array.fill(numpy.nan)
            elif array.dtype.kind in "iu":
                array.fill(numpy.iinfo(array.dtype).max)
            return array

        return filled

    numpy.empty, numpy.empty_like = filling(numpy.empty), filling(numpy.empty_like)


CHANGES: dict[str, Callable[[Any], None]] = {"numpy": change_numpy, "torch": change_torch}


class Finder(importlib.abc.MetaPathFinder):
    """Finds what the others find, and changes it as soon as it is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if name in CHANGES else None
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def changed(module: ModuleType) -> None:
                load(module)
                CHANGES[name](module)

            spec.loader.exec_module = changed  # type: ignore[method-assign]
        return spec

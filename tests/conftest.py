"""For all tests: no network, a store of their own, few threads, and instruments that are trained in a second."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "filling"))

import uninitialised

uninitialised.start()  # before numpy or torch is asked for memory

import pytest
import torchvision_ops  # noqa: F401  before anything imports torchvision
from kit import Kit, train_tiny

from harness.machine import compute, progress

os.environ["HARNESS_COMPUTE"] = "default"  # no test waits for this machine to be measured
os.environ["HF_HUB_OFFLINE"] = "1"  # read when a hub's client is imported: nothing may import one before this line


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test finds what a person has in their store, or leaves anything in it."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["HARNESS_CACHE"] = str(folder)
    yield folder
    del os.environ["HARNESS_CACHE"]


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """A test that calls the command line leaves no reporter behind."""
    yield
    progress.use(progress.Silent())


class Recorder(progress.Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def messages() -> list[str]:
    """The lines reported while a test runs."""
    reporter = Recorder()
    progress.use(reporter)
    return reporter.lines


@pytest.fixture(scope="session", autouse=True)
def few_threads() -> None:
    compute.configure("cpu", int(os.environ.get("HARNESS_TEST_THREADS", "1")))


@pytest.fixture(scope="session")
def tiny() -> Callable[[str], Kit]:
    """`tiny("audio")`: a dataset of a few items and the instruments trained on it, made once a session."""
    return cache(train_tiny)

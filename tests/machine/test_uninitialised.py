"""The mode in which all tests run with uninitialised memory full of NaN: it must not be off unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
import uninitialised
from runs import python_path

PROGRAM = """
import numpy as np
import torch
print(np.isnan(np.empty(9)).all(), np.isnan(np.empty_like(np.ones(9, np.float32))).all())
print(torch.empty(9).isnan().all().item(), (np.empty(9, np.int32) == 2**31 - 1).all())
"""


def test_it_reaches_the_processes_that_tests_start() -> None:
    paths = python_path(Path(uninitialised.FOLDER))
    environment = {**os.environ, "HARNESS_TEST_FILL": "nan", "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["True"] * 4, done.stderr


def test_one_test_can_ask_for_it_alone() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    with uninitialised.filled():
        assert torch.empty(9).isnan().all()
    assert torch.are_deterministic_algorithms_enabled() == before

"""Every kernel by pytest-benchmark, for a profile or a comparison over time; and that its rival finds the same.

Ratios against the rivals, timed in turns: `ratios.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kernels import Kernel, kernels
from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in kernels()])
def test_kernel(make: Callable[[], Kernel], benchmark: BenchmarkFixture) -> None:
    kernel = make()
    found = benchmark(kernel.ours)
    if kernel.rival is not None:
        assert kernel.agree(found, kernel.rival()), f"{kernel.name}: {kernel.against} finds something else"

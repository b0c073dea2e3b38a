"""Every kernel by pytest-benchmark, for a profile or a comparison over time; and that its rival finds the same.

Ratios against the rivals, timed in turns: `ratios.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import ratios
from kernels import Kernel, kernels
from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in kernels()])
def test_kernel(make: Callable[[], Kernel], benchmark: BenchmarkFixture) -> None:
    kernel = make()
    found = benchmark(kernel.ours)
    if kernel.rival is not None:
        assert kernel.agree(found, kernel.rival()), f"{kernel.name}: {kernel.against} finds something else"


def test_a_rival_that_takes_twice_as_long_has_a_ratio_of_two() -> None:
    row = ratios._row(Kernel("naps", lambda: time.sleep(0.01), "longer naps", lambda: time.sleep(0.02)))
    assert row.ratio is not None
    assert row.ratio[1] <= row.ratio[0] <= row.ratio[2] and row.ratio[0] == pytest.approx(2, rel=0.1)
    column = {"rows": {"naps": row}, "others": 0.5, "packed_rows": 0}
    page = ratios.page({"1 thread": column}, 60)
    assert "| naps | longer naps | 10" in page and "**noisy**" in page and "No rival is faster for sure." in page


def test_a_rival_that_is_faster_is_named() -> None:
    row = ratios.Row("naps", "shorter naps", "", 20.0, (0.5, 0.4, 0.6))
    page = ratios.page({"1 thread": {"rows": {"naps": row}, "others": 0.0, "packed_rows": 0}}, 60)
    assert "The rival is faster, for sure:\n\n- naps, against shorter naps: 1 thread 0.50" in page
    assert "noisy" not in page


def test_a_rival_that_finds_something_else_is_no_rival() -> None:
    with pytest.raises(AssertionError, match="sum: a guess finds something else"):
        ratios._row(Kernel("sum", lambda: 2, "a guess", lambda: 3, lambda ours, theirs: ours == theirs))

"""What a machine is fast in: measured once, kept, settable, and the same for every contestant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.contest import calibration
from harness.contest.calibration import BadChoice, Choices
from harness.machine import compute, environment
from harness.nn.learning import Muon, orthogonal

MEASURED = {
    "spin": 1000,
    "packed_rows": 20,
    "bf16_training": False,
    "training_threads": 2,
    "threads": 2,
    "single_threads": 1,
    "gflops": 80.0,
}


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A machine without other work, and the ways to wait that were measured on it."""
    spins: list[int] = []

    def child(threads: int, spin: int) -> Any:
        spins.append(spin)
        return {"choices": {**MEASURED, "spin": spin}, "score": 1.0 if spin == 1000 else 1.05}

    monkeypatch.setattr(environment, "others_take", lambda seconds: 0.0)
    monkeypatch.setattr(calibration, "_child", child)
    return spins


@pytest.fixture
def defaults() -> Any:
    yield
    compute.configure("cpu", 1, Choices())


def test_a_machine_is_measured_once_and_known_from_then_on(quiet: list[int], tmp_path: Path) -> None:
    said: list[str] = []
    first = calibration.settle(tmp_path, 2, None, said.append)
    assert first == Choices(**MEASURED), "waiting for long was no clear gain"
    assert quiet == list(calibration.SPINS)
    assert calibration.settle(tmp_path, 2, None, said.append) == first
    assert len(quiet) == 2 and len(said) == 1
    assert "2 threads in training, 2 for batches, 1 for single queries" in said[0]
    calibration.settle(tmp_path, 1, None, said.append)
    assert len(quiet) == 4, "with another number of threads it is another machine"


def test_beside_other_work_waiting_for_long_is_no_choice(
    quiet: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "others_take", lambda seconds: 0.5)
    calibration.settle(tmp_path, 2, None, print)
    assert quiet == [1000]
    monkeypatch.setattr(environment, "others_take", lambda seconds: 0.0)
    calibration.settle(tmp_path, 2, None, print)
    assert quiet == [1000, 1000, 300_000], "what was found beside other work holds beside other work alone"


def test_an_altered_calibration_is_measured_again(quiet: list[int], tmp_path: Path) -> None:
    calibration.settle(tmp_path, 2, None, print)
    (path,) = (tmp_path / "calibration").glob("*.json")
    path.write_text(path.read_text().replace('"packed_rows": 20', '"packed_rows": 21'))
    assert calibration.settle(tmp_path, 2, None, print).packed_rows == 20
    assert len(quiet) == 4


def test_choices_can_be_written(quiet: list[int], tmp_path: Path) -> None:
    found = calibration.settle(tmp_path, 2, "threads=1, bf16_training=yes", print)
    assert (found.threads, found.bf16_training, found.packed_rows) == (1, True, 20)
    assert calibration.settle(tmp_path / "other", 2, "default", print) == Choices()
    assert not (tmp_path / "other").exists()
    for wrong in ("thread=1", "threads", "threads=-1", "spin=yes"):
        with pytest.raises(BadChoice, match="expected `default`"):
            calibration.settle(tmp_path, 2, wrong, print)


def test_a_machine_that_can_not_be_measured_gets_the_usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    said: list[str] = []
    assert calibration.settle(tmp_path, 2, "threads=1", said.append) == Choices(threads=1)
    assert said == ["this machine could not be measured; the usual kernels and threads are taken"]
    assert not (tmp_path / "calibration").exists()


def test_the_measuring_itself() -> None:
    found = calibration._child(2, 1000)
    assert found is not None and found["score"] > 0
    choices = Choices(**found["choices"])
    assert choices.spin == 1000 and choices.threads in (1, 2) and choices.single_threads in (1, 2)
    assert choices.packed_rows in (0, *calibration.ROWS, calibration.NEVER)


@pytest.mark.usefixtures("defaults")
def test_choices_reach_products_and_threads() -> None:
    weight, few, many = torch.randn(8, 4), torch.randn(2, 4), torch.randn(3, 4)
    compute.configure("cpu", 2, Choices(training_threads=2, threads=1, single_threads=9, packed_rows=3))
    assert torch.get_num_threads() == 2 and compute.current().usual_threads == 1, "at first those of training"
    with compute.limited_threads(compute.current().usual_threads):
        assert torch.get_num_threads() == 1 and compute.faiss().omp_get_max_threads() == 1
    assert compute.current().single_threads == 2, "never more than are allowed"
    product = compute.product(weight)
    with torch.profiler.profile() as seen, torch.inference_mode():
        torch.testing.assert_close(product(few), few @ weight.T)
    assert not any("mkldnn" in event.name for event in seen.events())
    with torch.profiler.profile() as seen, torch.inference_mode():
        torch.testing.assert_close(product(many), many @ weight.T)
    assert any("mkldnn" in event.name for event in seen.events())
    compute.configure("cpu", 2)
    assert compute.current().choices.packed_rows == 3, "what was settled stays settled"


def test_the_record_says_what_was_chosen() -> None:
    assert set(environment.describe()["compute"]) == set(MEASURED)


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize("shape", [(24, 8), (8, 24), (16, 16)])
def test_muon_is_pytorchs(shape: tuple[int, int]) -> None:
    """In bfloat16, as the library has it; and near it in float32."""
    torch.manual_seed(0)
    begin, gradients = torch.randn(shape), [torch.randn(shape) for _ in range(3)]

    def after(kind: Any) -> torch.Tensor:
        parameter = torch.nn.Parameter(begin.clone())
        optimizer = kind([parameter], lr=0.1, weight_decay=0.1)
        for gradient in gradients:
            parameter.grad = gradient.clone()
            optimizer.step()
        return parameter.detach()

    theirs = after(torch.optim.Muon)
    compute.configure("cpu", 1, Choices(bf16_training=True))
    torch.testing.assert_close(after(Muon), theirs, rtol=0, atol=0.02)
    compute.configure("cpu", 1, Choices(bf16_training=False))
    torch.testing.assert_close(after(Muon), theirs, rtol=0, atol=0.05)


def test_an_orthogonal_matrix_has_singular_values_near_one() -> None:
    settings = torch.optim.Muon([torch.nn.Parameter(torch.zeros(2, 2))]).param_groups[0]
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(12, 30), settings, torch.float32))
    assert values.min() > 0.6 and values.max() < 1.3

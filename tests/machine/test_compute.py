"""Device, threads, and the kernels that everyone gets: fast, and the same numbers."""

from __future__ import annotations

import os
import time

import pytest
import torch
from torch import nn

from harness.machine import compute
from harness.nn.layers import Block, parameter_count


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3,), (1, 3), (17, 3), (4, 5, 3), (0, 3)])
def test_a_packed_linear_is_the_linear(bias, shape):
    torch.manual_seed(0)
    linear = nn.Linear(3, 70, bias=bias)
    x = torch.randn(shape)
    with torch.inference_mode():
        expected, found = linear(x), compute.packed_linear(linear)(x)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_half_precision_is_near_for_linear_layers_and_leaves_the_rest():
    """What an encoder's `precision: bf16` does on a CPU: products of bf16, summed up and handed on in fp32."""
    if not compute.knows("bf16"):
        pytest.skip("this processor has none")
    torch.manual_seed(0)
    linear, x = nn.Linear(64, 70), torch.randn(4, 5, 64)
    with torch.inference_mode():
        whole, half = (compute.packed_linear(linear, each)(x) for each in ("fp32", "bf16"))
        rounded = nn.functional.linear(x.bfloat16().float(), linear.weight.bfloat16().float(), linear.bias)
    assert half.dtype == torch.float32 and half.shape == whole.shape
    torch.testing.assert_close(half, rounded, rtol=2e-2, atol=2e-2)
    assert (half - whole).abs().max() > 1e-4, "it is another precision"
    model = compute.ready(nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64)), "bf16")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_a_device_without_half_precision_says_so(monkeypatch):
    assert compute.knows("fp32")
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert not compute.knows("bf16")


def test_a_product_takes_what_is_not_contiguous():
    torch.manual_seed(0)
    weight, bias, x = torch.randn(6, 8).T, torch.randn(8), torch.randn(6, 9).T  # x ↦ x · weightᵀ + bias
    torch.testing.assert_close(compute.product(weight, bias)(x), x @ weight.T + bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "module",
    [Block(48, 2), nn.TransformerEncoderLayer(48, 2, 64, batch_first=True), nn.MultiheadAttention(48, 2)],
    ids=lambda module: type(module).__name__,
)
def test_a_module_made_ready_is_the_same_module_in_evaluation_mode(module):
    """Even one that looks at the weights of its layers, as PyTorch's own do."""
    x = torch.randn(2, 5, 48)
    arguments = (x, x, x) if isinstance(module, nn.MultiheadAttention) else (x,)
    count, names = parameter_count(module), set(module.state_dict())
    with torch.inference_mode():
        before = module.eval()(*arguments)
        after = compute.ready(module.train())(*arguments)
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
    assert not module.training
    assert parameter_count(module) == count
    assert set(module.state_dict()) == names
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_seconds_of_a_stage_are_summed_up_and_taken_once():
    compute.take_stages()
    for _ in range(3):
        with compute.stage("encode"):
            time.sleep(0.01)
    with pytest.raises(KeyError), compute.stage("search"):
        raise KeyError("a failing search took its time too")
    taken = compute.take_stages()
    assert set(taken) == {"encode", "search"}
    assert 0.03 <= taken["encode"] < 1.0
    assert compute.take_stages() == {}


def test_threads_are_settled_for_everyone():
    try:
        compute.configure("cpu", 2)
        assert torch.get_num_threads() == 2
        assert compute.faiss().omp_get_max_threads() == 2
        assert os.environ["OMP_NUM_THREADS"] == "2"
        with compute.limited_threads(1):
            assert torch.get_num_threads() == 1
        with pytest.raises(KeyError), compute.limited_threads(1):
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        compute.configure("cpu", 1)


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(compute.NoDevice, match="--device cpu"):
        compute.configure("cuda", 1)
    assert compute.configure("auto", 1).device == "cpu"


def test_products_of_numpy_have_as_many_threads_as_all_others() -> None:
    """The variable that would settle it is read when numpy is imported, before anybody could set it."""
    libraries = compute.blas_libraries()
    if not libraries:
        pytest.skip("this numpy has another BLAS")
    for count in (2, 1):
        with compute.limited_threads(count):
            assert [each.scipy_openblas_get_num_threads64_() for each in libraries] == [count]


@pytest.mark.parametrize(("gigabytes", "batches"), [(1, 1), (8, 4), (24, 12), (80, 32), (139, 32)])
def test_batches_grow_with_the_memory_of_a_gpu_and_with_nothing_else(monkeypatch, gigabytes, batches):
    assert compute.at_once(32) == 32  # a processor: what its cache holds
    monkeypatch.setattr(compute, "_current", compute.Compute("cuda"))
    memory = type("Properties", (), {"total_memory": gigabytes << 30})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: memory)
    assert compute.at_once(32) == 32 * batches

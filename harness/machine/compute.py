"""One device, one number of threads, one precision and the same kernels for every contestant.

What a machine is fast in is measured when a run begins, by `contest.calibration`; it settles the `Choices` here.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from torch import nn


Precision = Literal["fp32", "bf16"]


SHARE, MOST = 2 << 30, 32  # bytes of a GPU's memory for each such batch that is computed at once, and at most so many
SPIN = 1000  # how often a waiting OpenMP thread looks again before it sleeps: some ten microseconds


@dataclass(frozen=True)
class Choices:
    """What is fast on this machine, the same for every contestant. The defaults hold where nothing was measured."""

    training_threads: int | None = None  # for all that is made before the contest; None: all that are allowed
    threads: int | None = None  # for batches of queries; None: all that are allowed
    single_threads: int | None = None  # for queries that come one by one; None: as many
    spin: int = SPIN  # read when OpenMP is loaded
    packed_rows: int = 0  # from so many rows on a linear layer takes the pre-packed product
    bf16_training: bool | None = None  # None: if the processor multiplies bfloat16 natively
    gflops: float | None = None  # no choice, but what one thread was measured at in training: costs are scaled by it


@dataclass(frozen=True)
class Compute:
    device: str = "cpu"
    threads: int = 1  # allowed to every contestant
    choices: Choices = Choices()

    @property
    def training_threads(self) -> int:
        return min(self.choices.training_threads or self.threads, self.threads)

    @property
    def usual_threads(self) -> int:
        return min(self.choices.threads or self.threads, self.threads)

    @property
    def single_threads(self) -> int:
        return min(self.choices.single_threads or self.usual_threads, self.threads)


class NoDevice(Exception):
    """The device that was asked for isn't there."""


_current = Compute()
_threads = 1  # in use at present
_spans: dict[str, float] = {}


def available_threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_environment(threads: int, spin: int = SPIN) -> None:
    """What BLAS and OpenMP libraries read when they are loaded; to be called before numpy or torch is."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    # Threads that spin for long while they wait take the core from others that could work; those that sleep at once
    # have to be woken for every small product. Which costs more depends on the machine and on what else it does.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(spin))


def configure(device: str = "auto", threads: int | None = None, choices: Choices | None = None) -> Compute:
    """Settle device, threads and kernels for this process. `choices` as they were before where none are given."""
    global _current
    choices, threads = choices or _current.choices, threads or available_threads()
    prepare_environment(threads, choices.spin)
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise NoDevice("--device cuda: torch finds no CUDA device here; use --device cpu, or install torch for CUDA")
    _current = Compute(device, threads, choices)
    _set_threads(_current.training_threads)  # a contest sets its own, scenario by scenario
    return _current


def current() -> Compute:
    return _current


def at_once(batch: int) -> int:
    """How many to compute at once where a processor's cache has room for `batch`: on a GPU, what its memory allows."""
    if _current.device != "cuda":
        return batch
    import torch

    shares = torch.cuda.get_device_properties(0).total_memory // SHARE  # not what is free now: answers must repeat
    return batch * max(1, min(MOST, shares))


def threads_in_use() -> int:
    return _threads


def faiss() -> Any:
    """The faiss module, with the same number of threads as all."""
    fresh = "faiss" not in sys.modules
    import faiss as module

    if fresh:  # later `_set_threads` sees to it
        module.omp_set_num_threads(_threads)
    return module


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """For many small steps, where waking more threads costs more than they bring."""
    before = _threads
    _set_threads(count)
    try:
        yield
    finally:
        _set_threads(before)


def _set_threads(count: int) -> None:
    global _threads
    import torch

    _threads = count
    torch.set_num_threads(count)
    if "faiss" in sys.modules:
        sys.modules["faiss"].omp_set_num_threads(count)
    for blas in blas_libraries():
        blas.scipy_openblas_set_num_threads64_(count)


def blas_libraries() -> list[Any]:
    """OpenBLAS as numpy bundles it. Its environment variable counts only before numpy is imported, which it may be."""
    numpy = sys.modules.get("numpy")
    folder = Path(numpy.__file__ or "").parents[1] / "numpy.libs" if numpy else None
    found = [ctypes.CDLL(str(path)) for path in folder.glob("libscipy_openblas64*")] if folder else []
    return [library for library in found if hasattr(library, "scipy_openblas_set_num_threads64_")]


@contextmanager
def stage(name: str) -> Iterator[None]:
    """A named span of a search; the seconds of each name are summed up until `take_stages`."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        if _current.device == "cuda":
            import torch

            torch.cuda.synchronize()
        _spans[name] = _spans.get(name, 0.0) + time.perf_counter() - begun


def take_stages() -> dict[str, float]:
    """Seconds spent in each stage since the last call."""
    taken = dict(_spans)
    _spans.clear()
    return taken


def ready(module: nn.Module, precision: Precision = "fp32") -> nn.Module:
    """Prepare a trained module for searching: evaluation mode, on the device, with fast linear layers on a CPU.

    PyTorch's default fp32 product goes to a library that takes a slow path on some processors; the pre-packed oneDNN
    product doesn't, but may cost more where rows are few: see `product`. All that search call this, so that no paradigm
    wins by its kernels. `precision` is the suite's choice for an encoder, which all contestants of a task share: bf16
    is that of the linear layers on a CPU, of `amp` elsewhere.
    """
    module = module.eval().requires_grad_(False).to(_current.device)
    if _current.device == "cpu":
        _pack(module, precision)
    return module


def knows(precision: Precision) -> bool:
    """Whether this device computes faster in it than in fp32."""
    import torch

    if precision == "fp32":
        return True
    if _current.device == "cuda":
        return torch.cuda.is_bf16_supported()
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def amp(precision: Precision) -> AbstractContextManager[Any]:
    """Mixed precision on a GPU. A CPU's modules have it inside, from `ready`."""
    import torch

    if precision == "fp32" or _current.device != "cuda":
        return nullcontext()
    return torch.autocast("cuda", torch.bfloat16)


def _pack(module: nn.Module, precision: Precision) -> None:
    import torch
    from torch import nn

    if not torch.backends.mkldnn.is_available():
        return
    for name, child in module.named_children():
        if type(child) is nn.Linear and child.weight.dtype == torch.float32:
            setattr(module, name, packed_linear(child, precision))
        else:
            _pack(child, precision)


def packed_linear(linear: nn.Linear, precision: Precision = "fp32") -> nn.Module:
    """The same linear layer with its weight packed for oneDNN once. The plain weight stays, for code that reads it."""
    import torch
    from torch import nn

    class PackedLinear(nn.Linear):
        def __init__(self) -> None:
            nn.Module.__init__(self)
            self.in_features, self.out_features = linear.in_features, linear.out_features
            self.weight, self.bias = linear.weight, linear.bias
            bias = None if linear.bias is None else linear.bias.detach()
            self.multiply = product(linear.weight.detach(), bias, precision)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if torch.is_autocast_enabled("cpu"):  # its output is for training: see `half_precision`
                return super().forward(x)
            return self.multiply(x)

    return PackedLinear()


def half_precision() -> AbstractContextManager[Any]:
    """Around a training step's forward pass: bfloat16 where that is faster than fp32.

    For training alone: searches are all timed in one precision.
    """
    import torch

    return torch.autocast(_current.device, torch.bfloat16, enabled=training_dtype() == torch.bfloat16)


def training_dtype() -> torch.dtype:
    """The precision of training's matrix products: bfloat16 where this device is faster in it, else float32."""
    import torch

    able = _current.choices.bf16_training
    if _current.device == "cuda":
        able = torch.cuda.is_bf16_supported()
    elif able is None:  # the processor may have it, and the library be set not to use it
        able = torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if able else torch.float32


def product(
    weight: torch.Tensor, bias: torch.Tensor | None = None, precision: Precision = "fp32"
) -> Callable[[torch.Tensor], torch.Tensor]:
    """`x ↦ x · weightᵀ + bias` with the fastest kernel, the same for all; weight [out, in], x […, in].

    From `Choices.packed_rows` rows on that is oneDNN's product with a weight laid out beforehand, below it PyTorch's.
    """
    import torch

    if _current.device != "cpu" or not torch.backends.mkldnn.is_available():
        weight = weight.to(_current.device)
        return lambda x: torch.nn.functional.linear(x, weight, bias)
    kind = torch.bfloat16 if precision == "bf16" else weight.dtype
    packed, size = torch.ops.mkldnn._reorder_linear_weight(weight.to(kind).contiguous()), weight.shape[0]
    added = None if bias is None else bias.to(kind)
    enough = 0 if precision == "bf16" else _current.choices.packed_rows

    def multiply(x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        if len(flat) < enough:
            return torch.nn.functional.linear(x, weight, bias)
        flat = flat.to(kind)
        found = torch.ops.mkldnn._linear_pointwise(flat, packed, added, "none", [], "")
        return found.to(x.dtype).view(*x.shape[:-1], size)

    return multiply

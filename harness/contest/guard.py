"""Restores what contestants share: threads, gradients, random states, the environment and the like.

Every call of a contestant happens inside `kept`; what it changed is put back and reported once, so that no other is
timed or scored under its settings.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np

from harness.machine import compute
from harness.machine.progress import say


class Setting(NamedTuple):
    """Something that all contestants of a process share."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], Any]
    module: str | None = None  # nothing to keep before this module is imported


def _torch() -> Any:
    return sys.modules["torch"]


def _deterministic() -> tuple[bool, bool]:
    return _torch().are_deterministic_algorithms_enabled(), _torch().is_deterministic_algorithms_warn_only_enabled()


def _backends() -> tuple[bool, ...]:
    cudnn, mkldnn = _torch().backends.cudnn, _torch().backends.mkldnn
    return cudnn.enabled, cudnn.benchmark, cudnn.deterministic, mkldnn.enabled


def _put_backends(kept: tuple[bool, ...]) -> None:
    cudnn, mkldnn = _torch().backends.cudnn, _torch().backends.mkldnn
    cudnn.enabled, cudnn.benchmark, cudnn.deterministic = kept[:3]
    mkldnn.set_flags(kept[3])


def _precision() -> str | None:
    with suppress(RuntimeError):  # torch's two ways to set it were mixed; setting it again repairs that
        return _torch().get_float32_matmul_precision()
    return None


def _faiss_threads() -> int:
    """Those it will have, if it isn't imported yet."""
    faiss = sys.modules.get("faiss")
    return faiss.omp_get_max_threads() if faiss else compute.threads_in_use()


def _cwd() -> str | None:
    with suppress(FileNotFoundError):
        return os.getcwd()  # noqa: PTH109  not a Path: it is compared and given back
    return None


def _put_cwd(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


# PyTorch sets it when an optimiser first loads its compiler; no contestant did.
OF_TORCH = "TORCHINDUCTOR_CACHE_DIR"


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != OF_TORCH}


def _put_environment(kept: dict[str, str]) -> None:
    for name in _environment().keys() - kept.keys():
        del os.environ[name]
    os.environ.update(kept)


def _put_path(kept: list[str]) -> None:
    sys.path[:] = kept


def _put_filters(kept: list[Any]) -> None:
    warnings.resetwarnings()  # clears the cache of earlier filters
    warnings.filters[:] = kept  # type: ignore[index]


# Ctrl-C, a polite kill, alarms, ends of children, and those that programs use among themselves. A handler that wasn't
# installed from Python can't be put back.
SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]


def _put_handlers(kept: list[Any]) -> None:
    for number, handler in zip(SIGNALS, kept, strict=True):
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


SETTINGS = (
    Setting("torch threads", lambda: _torch().get_num_threads(), lambda n: _torch().set_num_threads(n), "torch"),
    Setting("torch gradients", lambda: _torch().is_grad_enabled(), lambda on: _torch().set_grad_enabled(on), "torch"),
    Setting(
        "torch default dtype", lambda: _torch().get_default_dtype(), lambda d: _torch().set_default_dtype(d), "torch"
    ),
    Setting(
        "torch deterministic algorithms",
        _deterministic,
        lambda kept: _torch().use_deterministic_algorithms(kept[0], warn_only=kept[1]),
        "torch",
    ),
    Setting(
        "torch float32 precision",
        _precision,
        lambda kept: kept and _torch().set_float32_matmul_precision(kept),
        "torch",
    ),
    Setting("torch backends", _backends, _put_backends, "torch"),
    Setting("faiss threads", _faiss_threads, lambda n: sys.modules["faiss"].omp_set_num_threads(n)),
    Setting("numpy error handling", np.geterr, lambda kept: np.seterr(**kept)),
    Setting("environment variables", _environment, _put_environment),
    Setting("sys.path", lambda: list(sys.path), _put_path),
    Setting("working directory", _cwd, _put_cwd),
    Setting("warning filters", lambda: list(warnings.filters), _put_filters),
)
HANDLERS = Setting("signal handlers", lambda: [signal.getsignal(number) for number in SIGNALS], _put_handlers)
RANDOM = (  # drawing changes them, which is no fault: they are put back silently
    Setting("random state", random.getstate, random.setstate),
    Setting("numpy random state", np.random.get_state, np.random.set_state),
    Setting("torch random state", lambda: _torch().get_rng_state(), lambda kept: _torch().set_rng_state(kept), "torch"),
)


SILENT = ("warning filters",)  # hardly a library is imported without changing them


@contextmanager
def kept(who: str, said: dict[str, None] | None = None) -> Iterator[None]:
    """Afterwards all settings are as before. `said` holds the changes by `who` that were reported already."""
    said = {} if said is None else said
    main = threading.current_thread() is threading.main_thread()  # no other may install a signal's handler
    before = _values([*SETTINGS, HANDLERS] if main else SETTINGS)
    drawn = _values(RANDOM)
    try:
        yield
    finally:
        changed = [setting.name for setting, value in before if _put_back(setting, value)]
        for setting, value in drawn:
            setting.put(value)
        new = [name for name in changed if name not in said and name not in SILENT]
        said.update(dict.fromkeys(new))
        if new:
            say(f"  {who}: changed {', '.join(new)}, which all contestants share; put back")


def _values(settings: Iterable[Setting]) -> list[tuple[Setting, Any]]:
    return [(each, each.get()) for each in settings if each.module is None or each.module in sys.modules]


def _put_back(setting: Setting, value: Any) -> bool:
    """Put a setting back; returns whether it had changed."""
    if setting.get() == value:
        return False
    setting.put(value)
    return True

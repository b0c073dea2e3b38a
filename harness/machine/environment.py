"""Where a result was made: machine, threads, versions, commit, and how busy the machine was with other things."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

PACKAGES = ("torch", "numpy", "faiss-cpu", "faiss-gpu-cu12", "transformers", "open_clip_torch", "laion-clap")
NOISY = 0.10  # share of the machine's time that others may take before timings are called noisy
ROOT = Path(__file__).resolve().parents[2]  # the folder that holds `harness`


def describe() -> dict[str, Any]:
    """Everything about this process and machine that may shape a number."""
    from harness.machine import compute

    settled = compute.current()
    return {
        "machine": platform.machine(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "affinity": compute.available_threads(),
        "memory_gb": memory_gb(),
        "device": device_name(settled.device),
        "threads": settled.threads,
        "compute": asdict(settled.choices),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "versions": versions(),
        **commit(),
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (ValueError, OSError):
        return None


def device_name(device: str) -> str:
    if device == "cuda":
        import torch

        return f"cuda: {torch.cuda.get_device_name()}"
    return device


def versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, Any]:
    """The commit of this code, and whether it differs from it; None where it lies in no repository of its own."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", str(Path(__file__))) is None:  # installed into another repository
        return {"commit": None, "dirty": None}
    changed, new = git("status", "--porcelain", "--untracked-files=no"), git("status", "--porcelain", "--", "*.py")
    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changed or new)}


def for_child(root: Path = ROOT, /, **more: str) -> dict[str, str]:
    """The environment of a process that must import what lies in `root`, this very harness, wherever it is called."""
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{known}" if known else str(root), **more}


class Busy(NamedTuple):
    """CPU seconds so far: of the whole machine, of this process, and the clock."""

    all: float
    ours: float
    clock: float


def busy() -> Busy | None:
    """A reading to compare with a later one; None where the system has none."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields)
    ticks = os.sysconf("SC_CLK_TCK")
    own = os.times()
    total = (user + nice + system + irq + softirq + steal) / ticks
    return Busy(total, own.user + own.system, time.monotonic())


def noise(before: Busy | None, after: Busy | None) -> dict[str, Any]:
    """What share of the machine others took between two readings."""
    if before is None or after is None or after.clock <= before.clock:
        return {"others": None, "noisy": None, "load": load()}
    foreign = (after.all - before.all) - (after.ours - before.ours)
    share = max(0.0, foreign / ((after.clock - before.clock) * (os.cpu_count() or 1)))
    return {"others": round(share, 3), "noisy": share > NOISY, "load": load()}


def others_take(seconds: float) -> float:
    """The share of the machine that other processes take just now; 0 where that is unknown."""
    before = busy()
    time.sleep(seconds)
    return noise(before, busy())["others"] or 0.0


def load() -> list[float] | None:
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except OSError:
        return None

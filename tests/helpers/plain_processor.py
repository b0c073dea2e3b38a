"""Trains one of each kind for a few steps and prints which operators ran, as JSON: the child of a test."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

import torch
from conformance import cases
from kit import train_tiny
from torch.utils._python_dispatch import TorchDispatchMode

from harness.machine import compute

PRODUCTS = ("mm", "linear", "convolution", "attention")


class Watch(TorchDispatchMode):
    """Seconds in each operator, and which products were given bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: Counter[str] = Counter()
        self.halves: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, given = str(func), (*args, *(kwargs or {}).values())
        if any(word in name for word in PRODUCTS) and any(
            getattr(each, "dtype", None) == torch.bfloat16 for each in given
        ):
            self.halves.add(name)
        begun = time.perf_counter()
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.seconds[name] += time.perf_counter() - begun


def train() -> None:
    kit = train_tiny("audio")
    train, validation = kit.training("text-audio")
    for case in (cases.started(), cases.CASES["match"]):
        retriever = case.build(kit)
        retriever.fit(train, validation)
        retriever.index(kit.test("text-audio").candidates)


def main() -> None:
    compute.configure("cpu", 1)
    with Watch() as watch:
        train()
    shares = {name: seconds / watch.seconds.total() for name, seconds in watch.seconds.items()}
    json.dump({"dtype": str(compute.training_dtype()), "halves": sorted(watch.halves), "shares": shares}, sys.stdout)


if __name__ == "__main__":
    main()

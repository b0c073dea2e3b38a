"""Fresh processes: rates of several, and what a retriever needs of memory when it is alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import harness, records

MODULE = """\
import sys

import numpy as np

from harness.contract.retriever import Footprint, Retriever, best


class Held(Retriever):
    "Loads so many MB, and takes so many more to search. `in_child`: how it answers in a fresh process."

    tried = False  # by the child that prepares it, where it is indexed

    def __init__(self, held=0, taken=0, in_child="alike"):
        self.held, self.taken, self.in_child = held, taken, in_child
        self.other = not self.tried and sys.modules["__main__"].__spec__.name == "harness.contest.child"

    def index(self, gallery):
        Held.tried = True
        self.count = len(gallery)

    def search(self, queries, k):
        if self.other and self.in_child == "fails":
            raise RuntimeError("not here")
        room = np.ones(self.taken << 17)  # MB of float64
        order = np.arange(self.count) * (-1 if self.other and self.in_child == "otherwise" else 1)
        return best(np.tile(order.astype(np.float32), (len(queries), 1)), k)

    def save(self, folder):
        (folder / "count.txt").write_text(str(self.count))

    def load(self, folder):
        self.count = int((folder / "count.txt").read_text())
        self.kept = np.ones(self.held << 17)

    def footprint(self):
        return Footprint(0, 0)
"""
SUITE = """\
name: fresh
k: [1]
scenarios: {scenarios}
datasets: {{sounds: {{kind: soundscapes, train: 8, validation: 32, test: 12}}}}
tasks: [{{dataset: sounds}}]
retrievers:
{retrievers}
"""


def timed(folder: Path, scenarios: str, **arguments: str) -> tuple[Any, dict[str, Any]]:
    (folder / "held.py").write_text(MODULE)
    lines = [
        f"  {name}: {{kind: python, target: 'held:Held', paradigm: dual-tower, arguments: {{{each}}}}}"
        for name, each in arguments.items()
    ]
    (folder / "suite.yaml").write_text(SUITE.format(scenarios=scenarios, retrievers="\n".join(lines)))
    done = harness(folder / "cache", "run", folder / "suite.yaml", "--out", folder / "out", "--threads", 1, timeout=400)
    return done, {each["retriever"]: each for each in records(folder / "out").values()}


def row_of(folder: Path, retriever: str) -> str:
    lines = (folder / "out/tables/main.md").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"| {retriever} "))


def test_rates_of_several_processes(tmp_path: Path) -> None:
    scenarios = "{offline: {rounds: 3, cap_s: 5, processes: 3}, single: {queries: 10}, batch: [8]}"
    done, found = timed(tmp_path, scenarios, steady="", otherwise="in_child: otherwise", fails="in_child: fails")
    assert done.returncode == 1 and found["fails"]["status"] == "failed" and "not here" in found["fails"]["reason"]
    for name in ("steady", "otherwise"):
        speed = found[name]["speed"]
        rates, medians = speed["offline"]["qps"], speed["offline"]["processes"]
        assert len(rates["rounds"]) == 9 and len(medians) == 3
        assert speed["offline"]["counted"] == found[name]["data"]["queries"], "counts are of one process"
        assert medians == [float(np.median(rates["rounds"][start : start + 3])) for start in (0, 3, 6)]
        assert rates["median"] == float(np.median(rates["rounds"]))
        assert len(speed["single"]["processes"]) == len(speed["batch"]["8"]["processes"]) == 3
        assert speed["offline"]["processes_agree"] == (1.0 if name == "steady" else 0.0)
    assert found["steady"]["metrics"] == found["otherwise"]["metrics"], "quality is that of the first"
    assert "answers differ" in row_of(tmp_path, "otherwise") and "answers differ" not in row_of(tmp_path, "steady")
    assert "few rounds" not in done.stdout, "nine rounds are enough"


def test_memory_of_loading_and_of_searching(tmp_path: Path) -> None:
    scenarios = "{offline: {rounds: 1, cap_s: 5}, memory: {queries: 4}}"
    done, found = timed(tmp_path, scenarios, none="", holds="held: 60", takes="held: 20, taken: 90")
    assert done.returncode == 0, done.stderr
    told = {name: each["speed"]["memory"] for name, each in found.items()}
    assert all(each["queries"] == 4 and each["first_ms"] > 0 for each in told.values())
    if "host_peak_mb" not in told["none"]:
        pytest.skip("this system can't reset the mark of a process's peak")
    loaded = {name: each["host_loaded_mb"] - each["host_before_mb"] for name, each in told.items()}
    more = {name: each["host_peak_mb"] - each["host_loaded_mb"] for name, each in told.items()}
    assert loaded["none"] < 15 and 55 < loaded["holds"] < 75 and 15 < loaded["takes"] < 35
    assert more["holds"] < 15 and 85 < more["takes"] < 105
    assert "device_peak_mb" not in told["none"]
    shown = [f"{1.048576 * mb:.3g} MB" for mb in (loaded["takes"], loaded["takes"] + more["takes"])]
    assert ", ".join(shown) in row_of(tmp_path, "takes")

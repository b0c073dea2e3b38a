"""A retriever that misbehaves at a place of one's choice, and a suite that brings it as its own code."""

from __future__ import annotations

from pathlib import Path

MODULE = """\
import os
import sys
import threading
import time

import numpy as np

from {helper} import SCORE
from harness.contract.retriever import Footprint, Retriever, best


def leave(way):
    if way == "exit":
        sys.exit(0)
    if way == "vanish":
        os._exit(0)
    if way == "crash":
        os.kill(os.getpid(), 11)
    if way == "hang":
        print("it hangs as", os.getpid(), flush=True)
        threading.Event().wait()
    if way == "interrupt":
        raise KeyboardInterrupt


class Mine(Retriever):
    def __init__(self, at="", way="", only_in="", file=""):
        self.at, self.way, self.only_in = at, way, only_in
        self.score = float(open(file).read()) if file else SCORE

    def reach(self, place):
        here = "child" if "harness.contest.child" in sys.modules["__main__"].__spec__.name else "parent"
        if place == self.at and self.only_in in ("", here):
            leave(self.way)

    def index(self, gallery):
        self.reach("index")
        print("it is indexed", flush=True)
        self.count = len(gallery)

    def search(self, queries, k):
        self.reach("search")
        return best(np.full((len(queries), self.count), self.score, np.float32), k)

    def save(self, folder):
        (folder / "count.txt").write_text(str(self.count))

    def load(self, folder):
        self.reach("load")
        self.count = int((folder / "count.txt").read_text())

    def footprint(self):
        self.reach("footprint")
        return Footprint(0, 0)

    def counts(self):
        self.reach("counts")
        return {{}}

    def details(self):
        self.reach("details")
        return {{}}
"""

HEAD = """\
name: outside
k: [1]
scenarios: {offline: {rounds: 1, cap_s: 5}}
datasets: {sounds: {kind: soundscapes, train: 8, validation: 8, test: 12}}
tasks: [{dataset: sounds}]
retrievers:
  random: {kind: random}
"""


def write(folder: Path, retrievers: dict[str, str], module: str = "mine", head: str = HEAD) -> Path:
    """A suite, and beside it the module and one that it imports; `retrievers`: name → what stands behind the target."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(MODULE.format(helper=f"{module}_helper"))
    (folder / f"{module}_helper.py").write_text("SCORE = 0.5\n")
    lines = [
        f"  {name}: {{kind: python, target: '{module}:Mine', paradigm: control{more}}}"
        for name, more in retrievers.items()
    ]
    (folder / "suite.yaml").write_text(head + "\n".join(lines) + "\n")
    return folder / "suite.yaml"

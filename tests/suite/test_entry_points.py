"""Other people's packages join by being installed. Broken ones harm nobody but themselves.

A package is installed here as an installer leaves it: its modules and a .dist-info folder with entry_points.txt, in a
folder on the path of a fresh process.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from installed import harness, install
from runs import ROOT

OUTSIDE = ROOT / "tests" / "fixtures" / "outside"

SUITE = """\
name: outside
k: [1, 5]
scenarios: {offline: {rounds: 2, cap_s: 5}, single: {queries: 4, cap_s: 2}}
datasets:
  few: {kind: tones, count: 20}
tasks:
  - {dataset: few, encoder: pitch, direction: [text-audio, audio-text]}
retrievers:
  lengths: {kind: lengths, power: [1, 2]}
  dual: {kind: dual_tower}
  oracle: {kind: oracle}
"""

# What goes wrong in other people's packages: each an entry point of its own, all in one package.
BROKEN = {
    "absent": "nowhere.at_all:ENTRY",
    "nameless": "broken.fine:NOTHING_OF_THAT_NAME",
    "raising": "broken.raising:ENTRY",
    "leaving": "broken.leaving:ENTRY",
    "number": "broken.fine:NUMBER",
    "types": "broken.fine:TYPES",
    "needy": "broken.fine:NEEDY",
    "lost": "broken.fine:LOST",
    "odd": "broken.fine:ODD",
    "random": "broken.fine:LOST",  # the name of one of ours
}
MODULES = {
    "__init__": "",
    "raising": "raise RuntimeError('no licence')",
    "leaving": "import sys; sys.exit('no display')",
    "fine": """
from harness.contract import Entry
NUMBER = 3
TYPES = Entry("broken.fine:Types", {"size": int})
NEEDY = Entry("broken.fine:Needy", requires=("nowhere.at_all",), install="pip install nowhere")
LOST = Entry("broken.fine:NoSuchClass", about="lost its class", paradigm="hybrid")
ODD = Entry("broken.odd:Odd", about="counts in numbers of its own", paradigm="control")
""",
    "odd": """
import numpy as np
from baselines.controls import Constant
class Odd(Constant):
    def counts(self):
        return {"steps": np.int64(3)}  # no plain number: nothing that a record can hold
""",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one sound package and one in which everything is broken."""
    site = tmp_path_factory.mktemp("site")
    project = tomllib.loads((OUTSIDE / "pyproject.toml").read_text())["project"]
    shutil.copytree(OUTSIDE / "outside", site / "outside", ignore=shutil.ignore_patterns("__pycache__"))
    install(site, project["name"], project["entry-points"])
    (site / "broken").mkdir()
    for name, text in MODULES.items():
        (site / "broken" / f"{name}.py").write_text(text)
    install(site, "broken", {"harness.retrievers": BROKEN, "harness.datasets": {"absent": BROKEN["absent"]}})
    return site


def test_a_package_brings_a_dataset_an_encoder_and_a_retriever(site, tmp_path):
    (tmp_path / "suite.yaml").write_text(SUITE)
    done = harness(site, tmp_path, "run", "suite.yaml", "--out", "run", "--threads", 1)
    assert done.returncode == 0, done.stderr
    records = {path.stem: json.loads(path.read_bytes()) for path in (tmp_path / "run" / "records").glob("*.json")}
    assert {name.split(".", 1)[0] for name in records} == {"few_test_text-audio", "few_test_audio-text"}
    assert len(records) == 8
    assert {record["status"] for record in records.values()} == {"ok"}
    for direction in ("text-audio", "audio-text"):
        dual = records[f"few_test_{direction}.dual.0"]
        assert dual["metrics"]["hit@1"]["value"] == 1.0, "their encoder hears every pitch, through our dual tower"
        assert dual["config"]["encoder"] == {"kind": "pitch"}
        lengths = records[f"few_test_{direction}.lengths@power=2.0"]
        assert lengths["paradigm"] == "single-tower"
        assert lengths["config"]["retriever"] == {"kind": "lengths", "power": 2.0}
        assert lengths["config"]["dataset"] == {"kind": "tones", "count": 20}
        assert lengths["cost"]["index_bytes"] == 20 * 8


def test_list_shows_what_is_installed_and_what_is_wrong_with_it(site, tmp_path):
    done = harness(site, tmp_path, "list")
    assert done.returncode == 0, done.stderr
    lines = {words[0]: line for line in done.stdout.splitlines() if (words := line.split())}
    assert "matches how long a query is" in lines["lengths"]
    told = harness(site, tmp_path, "list", "lengths").stdout
    assert "lengths (retriever, single-tower): matches" in told
    assert "power: a number above 0 and at most 4; default 1.0 (of the difference)" in told
    assert "pure tones" in lines["tones"]
    for name, words in {
        "absent": "nowhere",
        "nameless": "NOTHING_OF_THAT_NAME",
        "raising": "no licence",
        "leaving": "no display",
        "number": "no harness.contract.Entry but int",
        "types": "harness.contract.Settings",
        "needy": "pip install nowhere",
        "lost": "lost its class",
        "random": "a random order for each query",
    }.items():
        assert words in lines[name], f"{name}: {lines[name]}"


def test_a_suite_that_names_broken_ones_is_told_so_and_the_others_go_on(site, tmp_path):
    (tmp_path / "suite.yaml").write_text(
        """\
name: broken
k: [1]
scenarios: {offline: {rounds: 1, cap_s: 5}}
datasets: {few: {kind: tones, count: 10}}
tasks: [{dataset: few}]
retrievers:
  raising: {kind: raising}
  needy: {kind: needy}
  lost: {kind: lost}
  odd: {kind: odd}
  random: {kind: random}
"""
    )
    planned = harness(site, tmp_path, "plan", "suite.yaml")
    assert planned.returncode == 0, planned.stderr
    done = harness(site, tmp_path, "run", "suite.yaml", "--out", "run", "--threads", 1)
    assert done.returncode == 1, done.stderr  # two of them failed
    records = {
        record["retriever"]: record
        for record in map(json.loads, (path.read_bytes() for path in (tmp_path / "run" / "records").glob("*.json")))
    }
    assert {name: record["status"] for name, record in records.items()} == {
        "raising": "unavailable",
        "needy": "unavailable",
        "lost": "failed",
        "odd": "failed",
        "random": "ok",
    }
    assert "no licence" in records["raising"]["reason"]
    assert "pip install nowhere" in records["needy"]["reason"]
    assert "NoSuchClass" in records["lost"]["reason"]
    assert "int64" in records["odd"]["reason"]
    assert records["lost"]["config"]["retriever"]["kind"] == "lost", "the name that suites know it by"

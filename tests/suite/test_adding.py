"""A contestant is a folder and a line: the README's example, followed in a copy of this repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from installed import install
from runs import ROOT, records

BLOCKS = re.findall(
    r"^```(python|toml)\n(.*?)^```$",
    (ROOT / "README.md").read_text().partition("\n## Adding a contestant\n")[2].partition("\n## ")[0],
    re.MULTILINE | re.DOTALL,
)
SUITE = """\
name: added
k: [1]
scenarios: {offline: {rounds: 1, cap_s: 2}}
datasets: {sounds: {kind: soundscapes, train: 32, validation: 8, test: 12}}
encoders: {small: {kind: small, trained_on: sounds, steps: 2, batch: 8, dim: 16}}
tasks: [{dataset: sounds, encoder: small}]
retrievers:
  centred: {kind: centred, share: 0.5}
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository with the README's folder and line, installed."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("harness", "baselines", "cart", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    project = (ROOT / "pyproject.toml").read_text()
    for language, text in BLOCKS:
        if language == "toml":
            group, line = text.strip().split("\n")
            assert project.count(group) == 1
            project = project.replace(group, f"{group}\n{line}")
        else:
            place = copy / text.partition("\n")[0].removeprefix("# ")
            place.parent.mkdir(exist_ok=True)
            (place.parent / "__init__.py").touch()
            place.write_text(text)
    (copy / "pyproject.toml").write_text(project)
    install(copy, "paradigm_harness", tomllib.loads(project)["project"]["entry-points"])
    (copy / "suite.yaml").write_text(SUITE)
    return copy


def call(copy: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(copy), "HARNESS_CACHE": str(copy / "cache")}
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(command, env=environment, cwd=copy, capture_output=True, text=True, timeout=300)


def test_it_is_listed_planned_and_run(copy: Path) -> None:
    listed = call(copy, "harness", "list", "centred")
    assert "centred (retriever, dual-tower): cosines without what all candidates share" in listed.stdout, listed.stderr
    assert "share: a number from 0 to 1; default 1.0 (of the gallery's mean that is taken away)" in listed.stdout
    done = call(copy, "harness", "run", "suite.yaml", "--out", "out", "--threads", 1)
    assert done.returncode == 0, done.stderr
    (record,) = records(copy / "out").values()
    assert record["status"] == "ok" and record["config"]["retriever"] == {"kind": "centred", "share": 0.5}
    (copy / "wrong.yaml").write_text(SUITE.replace("0.5", "1.5"))
    refused = call(copy, "harness", "plan", "wrong.yaml")
    assert refused.returncode == 2
    assert "wrong.yaml:8: retrievers.centred.share is 1.5; expected a number from 0 to 1; " in refused.stderr


def test_it_is_put_through_the_conformance_tests(copy: Path) -> None:
    done = call(copy, "pytest", "-v", "tests/conformance", "-k", "centred")
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= 20, done.stdout


def test_a_checkout_that_is_not_installed_says_what_to_do(tmp_path: Path) -> None:
    for name in ("harness", "baselines", "cart"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    install(tmp_path, "paradigm_harness", {"console_scripts": {"harness": "harness.cli:entry"}})
    done = call(tmp_path, "harness", "list")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "is not installed" in done.stderr and "make setup" in done.stderr

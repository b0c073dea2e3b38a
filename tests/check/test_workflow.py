"""The workflow for pull requests: its commands are ones that the command line takes, about cells that there are."""

from __future__ import annotations

import shlex
from typing import Any

import yaml
from runs import ROOT

from harness.check.reference import open_reference
from harness.cli import parser
from harness.suite import load

WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/regression.yml").read_text())
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
LINES = [shlex.split(step["run"]) for step in STEPS if "-m harness" in step.get("run", "")]


def test_each_command_is_one_that_the_command_line_takes() -> None:
    asked = [parser().parse_args(words[3:]) for words in LINES]
    assert [words[:4] for words in LINES] == [[".venv/bin/python", "-m", "harness", "check"]] * 2
    answers, rates = asked
    assert WORKFLOW[True] == "pull_request"  # YAML 1.1 reads `on` as a truth value
    assert open_reference(ROOT / answers.against) and rates.base == "origin/$BASE"
    cells = load(ROOT / rates.what).select(rates.only).cells()
    assert 1 < len(cells) < 5, "a few quick ones"
    assert {str(each.markdown) for each in asked} == {"$GITHUB_STEP_SUMMARY"}
    uploaded = [step["with"]["path"] for step in STEPS if "upload" in step.get("uses", "")]
    assert uploaded == [str(each.junit) for each in asked]
    targets = [step["run"].removeprefix("make ") for step in STEPS if step.get("run", "").startswith("make")]
    assert all(f"\n{target}:" in (ROOT / "Makefile").read_text() for target in targets)


def test_the_reference_is_of_the_suite_as_it_is() -> None:
    """Whoever changes the suite makes its reference anew: `make gate UPDATE=--update`."""
    kept = open_reference(ROOT / "results/reference/smoke")
    assert (kept.root / "suite.yaml").read_bytes() == (ROOT / "suites/smoke.yaml").read_bytes()
    cells = {cell.file for cell in load(ROOT / "suites/smoke.yaml").cells()}
    assert cells == {path.stem for path in (kept.root / "records").glob("*.json")}
    size = sum(path.stat().st_size for path in (kept.root / "store").rglob("*") if path.is_file())
    assert 0 < size < 1.5e6

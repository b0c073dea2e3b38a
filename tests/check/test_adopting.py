"""The README's ten lines, followed in a small repository made on the spot: its own code, its own data, no reference."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from media_files import write_sound
from runs import ROOT, python_path

from harness.cli import parser
from harness.suite import load

README = (ROOT / "README.md").read_text()
TEN = next(text for text in re.findall(r"^```yaml\n(.*?)^```$", README, re.M | re.S) if "# guarded.yaml" in text)
CALLS = re.findall(r"^#   python (-m harness check .+?)  ", TEN, re.M)
FIRST, ANSWERS, RATES = ([sys.executable, *shlex.split(each)] for each in CALLS)
OURS = next(text for text in re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S) if "# ours.py" in text)


def call(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": python_path(folder), "PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=550)


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = call(folder, ["git", *who, *arguments])
    assert done.returncode == 0, done.stderr


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """With a main branch of its own to compare with."""
    (tmp_path / "guarded.yaml").write_text(TEN)
    (tmp_path / "ours.py").write_text(OURS)
    for number in range(12):
        write_sound(tmp_path / f"{number}.wav", 200 + 300 * number, 0.3, 8_000)
    rows = [f"{number}.wav,{word} {number}" for number in range(12) for word in ("a tone of", "sound")]
    (tmp_path / "clips.csv").write_text("\n".join(["path,caption", *rows]))
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "ours")
    git(tmp_path, "branch", "origin/main")
    return tmp_path


def test_ten_lines_guard_answers(theirs: Path) -> None:
    assert len(TEN.splitlines()) == 10 and len(CALLS) == 3
    done = call(theirs, FIRST)
    assert done.returncode == 0 and (theirs / "reference" / "reference.json").exists(), done.stdout + done.stderr
    done = call(theirs, ANSWERS)
    assert done.returncode == 0 and "fine: 3 fine" in done.stdout, done.stdout + done.stderr

    ours = theirs / "ours.py"
    ours.write_text(OURS.replace("return best(np.abs(cosines)", "return best(-np.abs(cosines)"))
    done = call(theirs, ANSWERS)
    assert done.returncode == 1 and "queries are answered otherwise" in done.stdout, done.stdout + done.stderr


def test_ten_lines_guard_rates(theirs: Path) -> None:
    """The call is one that the command line takes, about a cell that there is; `test_rate` makes such calls."""
    asked = parser().parse_args(RATES[3:])
    assert asked.base == "origin/main" and asked.what == Path("guarded.yaml")
    assert [cell.retriever.name for cell in load(theirs / asked.what).select(asked.only).cells()] == ["nearest"]

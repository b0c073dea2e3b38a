"""Where a result was made: the commit is that of this code, or none."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.machine import environment

PROGRAM = "from harness.machine import environment; print(environment.commit())"


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of its own with a copy of this file of the harness in it, not yet committed."""
    (tmp_path / "harness/machine").mkdir(parents=True)
    (tmp_path / "harness/__init__.py").touch()
    (tmp_path / "harness/machine/__init__.py").touch()
    (tmp_path / "mine.txt").touch()
    shutil.copy(environment.__file__, tmp_path / "harness/machine")
    git(tmp_path, "init")
    git(tmp_path, "add", "mine.txt")
    git(tmp_path, "commit", "-m", "mine")
    return tmp_path


def commit_of(folder: Path) -> Any:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, text=True, timeout=60)
    return ast.literal_eval(done.stdout)


def test_the_commit_of_a_repository_that_it_was_installed_into_is_not_its_own(repository: Path) -> None:
    assert commit_of(repository) == {"commit": None, "dirty": None}


def test_what_was_changed_or_added_since_makes_it_dirty(repository: Path) -> None:
    git(repository, "add", ".")
    git(repository, "commit", "-m", "harness")
    head = git(repository, "rev-parse", "HEAD")
    assert commit_of(repository) == {"commit": head, "dirty": False}
    (repository / "data").mkdir()
    (repository / "data/captions.json").touch()
    assert commit_of(repository)["dirty"] is False
    (repository / "cart").mkdir()
    (repository / "cart/new.py").touch()
    assert commit_of(repository)["dirty"] is True
    (repository / "cart/new.py").unlink()
    (repository / "mine.txt").write_text("changed")
    assert commit_of(repository)["dirty"] is True


def test_a_child_finds_this_very_harness() -> None:
    first = Path(environment.for_child()["PYTHONPATH"].split(environment.os.pathsep)[0])
    assert (first / "harness/machine/environment.py").samefile(environment.__file__)


def test_noise_is_what_others_took() -> None:
    before, after = environment.Busy(10.0, 4.0, 100.0), environment.Busy(13.0, 5.0, 110.0)
    cores = environment.os.cpu_count() or 1
    found = environment.noise(before, after)
    assert found["others"] == round(2.0 / (10.0 * cores), 3)
    assert found["noisy"] is (2.0 / (10.0 * cores) > environment.NOISY)
    assert environment.noise(None, after)["noisy"] is None

"""Relative paths of a suite, seen from the suite's file. For `suite_components`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.contract.problems import Problems
from harness.machine.files import file_digest


@dataclass
class Paths:
    """Those of one argument: what stands there, and what it comes to."""

    home: Path  # the suite's folder
    problems: Problems
    line: int
    where: str
    files: dict[str, str] = field(default_factory=dict)  # files that are named by texts → SHA-256

    def seen(self, value: Any) -> Any:
        """With every path that lies beside the suite's file named from where we are; a hub id stays what it is.

        Which arguments of an outside class are paths isn't declared: a text is one if a file or folder of that name is
        there.
        """
        if isinstance(value, dict):
            return {key: self.seen(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.seen(member) for member in value]
        if not isinstance(value, str | Path) or (not _there(value, Path()) and not _there(value, self.home)):
            return value
        found = self.home / value
        if not _there(value, self.home):
            self.problems.add(
                self.line,
                f"{self.where} is '{str(value)[:200]}': nothing at {found}; there is one at {os.curdir}/{value}, seen "
                "from the current folder; expected a path that follows the suite's file: write "
                f"{_from(self.home, Path(value))}, or move it",
            )
            return value
        if isinstance(value, str):
            if found.is_file():
                self.files[value] = file_digest(found)
            return str(found)
        return found


def _there(value: str | Path, folder: Path) -> bool:
    """Whether a file or folder of this name lies there. A bare word is none of a folder: `test` is rather a split."""
    try:
        place = folder / value
        return place.is_file() or (place.is_dir() and (isinstance(value, Path) or os.sep in value))
    except (OSError, ValueError):  # too long, or with a NUL in it: no path
        return False


def _from(folder: Path, place: Path) -> str:
    return os.path.relpath(place.absolute(), folder.absolute())

"""Keeps the paths of a file that others wrote inside one folder."""

from __future__ import annotations

import os
from pathlib import Path


class Fence:
    """A folder that paths may not leave: by being absolute, by `..`, by a link."""

    def __init__(self, folder: Path, open_: bool = False) -> None:
        self.folder, self.open = folder, open_
        self.real = os.path.realpath(folder)
        self._inside: dict[str, bool] = {}

    def objection(self, name: str) -> str | None:
        """What speaks against a path; None: nothing."""
        if not name:
            return "is empty"
        if "\0" in name:
            return "holds a NUL character"
        if self.open:
            return None
        if Path(name).is_absolute():
            return "is absolute"
        above, _, last = name.rpartition("/")
        if above not in self._inside:
            self._inside[above] = self._within(os.path.realpath(self.folder / above))
        if not self._inside[above]:
            return "leaves it"
        whole = self.folder / name
        if last in ("", ".", "..") or whole.is_symlink():
            return None if self._within(os.path.realpath(whole)) else "leaves it"
        return None

    def _within(self, place: str) -> bool:
        return place == self.real or place.startswith(self.real.rstrip(os.sep) + os.sep)

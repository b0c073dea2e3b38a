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
        self._links: dict[str, frozenset[str]] = {}  # of each folder: asked at once, not name by name

    def objection(self, name: str) -> str | None:
        """What speaks against a path; None: nothing."""
        if not name:
            return "is empty"
        if "\0" in name:
            return "holds a NUL character"
        if self.open:
            return None
        if name.startswith(os.sep) or (os.sep != "/" and Path(name).is_absolute()):
            return "is absolute"
        above, _, last = name.rpartition("/")
        if above not in self._inside:
            self._inside[above] = self._within(os.path.realpath(self.folder / above))
            self._links[above] = _links(self.folder / above) if self._inside[above] else frozenset()
        if not self._inside[above]:
            return "leaves it"
        if last in ("", ".", "..") or last in self._links[above]:
            return None if self._within(os.path.realpath(self.folder / name)) else "leaves it"
        return None

    def _within(self, place: str) -> bool:
        return place == self.real or place.startswith(self.real.rstrip(os.sep) + os.sep)


def _links(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_symlink())
    except OSError:  # there is no such folder, so nothing in it leads anywhere
        return frozenset()

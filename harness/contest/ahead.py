"""How far a whole run is, beside the bar of the part in hand: cells that are ready, and how long the others take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.contest.estimate import Estimate
from harness.suite.spec import Cell


class Ahead:
    """`cells`: all that this run has to make ready; `expected`: what making some of them takes here, from now on."""

    def __init__(self, cells: Sequence[Cell], expected: Callable[[list[Cell]], Estimate]) -> None:
        self.count, self.expected = len(cells), expected
        self._left = {cell.file: cell for cell in cells}

    def passed(self, cell: Cell) -> str:
        """This one is ready, or will never be; how far the run is, where it is one of those to make."""
        if self._left.pop(cell.file, None) is None:
            return ""
        found = self.expected(list(self._left.values()))
        left = f", {found.left} to make the others" if self._left and found.left else ""
        return f"; {self.count - len(self._left)} of {self.count} cells{left}"


def nothing() -> Ahead:
    """Of a run that counts nothing."""
    return Ahead([], lambda cells: Estimate(()))

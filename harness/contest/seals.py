"""Contents as contestants see them: things in an order, and nothing that tells which of the dataset's things they are.

A dataset knows its things by places, names and a source, and each of these may give answers away: the captions of clip
17 stand at 85 to 89, whoever they are asked of. Sealed contents have the places 0…n-1, no names, no orders of files,
and a digest for a source; what fetches a thing is no method of the dataset; texts are new strings, since those of a
dataset lie in memory in its own order. This keeps answers out of sight. It can't hold off code that goes through the
memory of its own process: outside code has to be read, as ever.

The builder seals all that contestants and instruments get. It reveals contents to the store, and to instruments whose
files go by names or places (`Entry.needs`: reveal).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from harness.contract.dataset import Contents, Pairs


class Seals:
    def __init__(self) -> None:
        self._real: dict[str, Contents] = {}  # by the source of the sealed
        self._sealed: dict[str, Contents] = {}

    def seal(self, contents: Contents) -> Contents:
        """The same things in the same order. Equal contents are sealed once, and equally in every run."""
        if contents.source in self._real:
            return contents
        source = f"{contents.digest}:{':'.join(contents.source.split(':')[-2:])}"  # its end is for people: test:items
        if source not in self._sealed:
            self._real[source], self._sealed[source] = contents, _sealed(contents, source)
        return self._sealed[source]

    def reveal(self, contents: Contents) -> Contents:
        """What was sealed, or what a contestant has made of it; all else as it is."""
        real = self._real.get(contents.source)
        return contents if real is None else real[contents.positions]

    def sealed_pairs(self, pairs: Pairs) -> Pairs:
        return Pairs(self.seal(pairs.queries), self.seal(pairs.candidates), pairs.links)

    def revealed_pairs(self, pairs: Pairs) -> Pairs:
        return Pairs(self.reveal(pairs.queries), self.reveal(pairs.candidates), pairs.links)


def _sealed(contents: Contents, source: str) -> Contents:
    @cache
    def copies() -> tuple[str, ...]:
        return tuple(text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass") for text in contents)

    def fetch(position: int) -> object:
        return copies()[position] if contents.modality == "text" else contents[position]

    def stream(positions: np.ndarray) -> Iterator[object]:
        return iter(contents[positions])

    streamed = stream if contents.stream is not None and contents.modality != "text" else None
    return Contents(contents.modality, fetch, np.arange(len(contents)), source, stream=streamed)

"""Captions that were written elsewhere, held against the real ones: how many say the very same.

A caption made from the media alone may rightly equal a real one, so this proves nothing; but a file in which many do,
and of the same candidate, was probably not made from the media alone. Called by whoever has both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.dataset import Links


class Audit(NamedTuple):
    captions: int
    equal: int  # to a real caption of any candidate
    own: int  # to a real caption of the very candidate that they describe
    candidates: int  # with at least one such caption

    def __str__(self) -> str:
        share = 100 * self.own / max(1, self.captions)
        return (
            f"{self.own:,} of {self.captions:,} captions ({share:.1f} %) equal a real one of their own candidate, on "
            f"{self.candidates:,} candidates; {self.equal:,} equal one of any candidate"
        )


def audit(captions: Sequence[Sequence[str]], real: Sequence[str], links: Links) -> Audit:
    """`captions` of each candidate against `real` ones; `links` says which candidates each real one belongs to.

    Case and spaces don't count.
    """
    told: dict[str, set[int]] = {}
    for number, text in enumerate(real):
        told.setdefault(_plain(text), set()).update(links.of(number).tolist())
    total = equal = own = 0
    touched = set()
    for candidate, texts in enumerate(captions):
        for text in texts:
            found = told.get(_plain(text))
            total += 1
            equal += found is not None
            if found and candidate in found:
                own += 1
                touched.add(candidate)
    return Audit(total, equal, own, len(touched))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())

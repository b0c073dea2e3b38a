"""Leaks: captions from elsewhere that equal real ones, items and texts that are in two splits.

A caption made from the media alone may happen to equal a real one, so this proves nothing; but a file in which many do,
for their own candidate, was probably not made from the media alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.contract.dataset import Links, Split


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
    owners: dict[str, set[int]] = {}
    for number, text in enumerate(real):
        owners.setdefault(_plain(text), set()).update(links.of(number).tolist())
    total = equal = own = 0
    touched = set()
    for candidate, texts in enumerate(captions):
        for text in texts:
            found = owners.get(_plain(text))
            total += 1
            equal += found is not None
            if found and candidate in found:
                own += 1
                touched.add(candidate)
    return Audit(total, equal, own, len(touched))


def leaks(asked: Split, learned: Sequence[Split]) -> dict[str, int]:
    """What a test split shares with those for training, and its captions that fit several items.

    `items`: of its items, those that are there too (the same bytes; the same name where there are no files).
    `captions`: of its captions, those whose words stand there too. `ambiguous`: those that several of its items have.
    Labels are shared by their nature, and not counted.
    """
    known = set(_marks(asked)) & {mark for split in learned for mark in _marks(split)}
    found = {"items": sum(mark in known for mark in _marks(asked)) if known else 0}
    if asked.labels:
        return found
    plain = [_plain(text) for text in asked.captions]
    owners: dict[str, set[int]] = {}
    for text, owner in zip(plain, asked.owner.tolist(), strict=True):
        owners.setdefault(text, set()).add(owner)
    known = {text for split in learned for text in map(_plain, split.captions) if text in owners}
    found["captions"] = sum(text in known for text in plain)
    found["ambiguous"] = sum(len(owners[text]) > 1 for text in plain)
    return found


def _marks(split: Split) -> Sequence[str]:
    return split.item_names if split.prints is None else split.prints


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())

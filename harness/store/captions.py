"""Checks what a captioner gave before it is kept: each item its own texts. Called by the builder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.machine.progress import say


def check(captions: Any, count: int, label: str) -> None:
    """As many lists as items, at least one text in each. Texts without a word may be drawn: that is only said."""
    if not isinstance(captions, list | tuple):
        raise ValueError(
            f"the captioner gave {captions!r:.80}; expected a list of {count:,} lists of texts, one for each item"
        )
    if len(captions) != count:
        raise ValueError(
            f"the captioner gave {len(captions):,} lists for {count:,} items; expected one each, of texts, in the "
            "order of the items"
        )
    for item, texts in enumerate(captions):
        if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"the captioner gave {texts!r:.80} for item {item}; expected a list of one text or more")
    without = sum(not _worded(texts) for texts in captions)
    if without:
        say(f"    captions {label}: no word in those of {without:,} of {count:,} items")


def _worded(texts: Sequence[str]) -> bool:
    return any(text.strip() for text in texts)

"""Captions are kept only where each item has its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.contest.builder import Builder
from harness.contract.dataset import Contents
from harness.contract.instruments import Captioner
from harness.machine import progress
from harness.store.artifacts import Store

ITEMS = Contents("image", int, np.arange(4), "numbers:test:items")


class Says(Captioner):
    digest = "says"

    def __init__(self, captions: Any) -> None:
        self.given = captions

    def describe(self, contents: Contents) -> Any:
        return self.given

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


def stored(folder: Path, captions: Any) -> list[list[str]]:
    return Builder(Store(folder), folder)._captions(Says(captions), ITEMS)


@pytest.mark.parametrize(
    ("captions", "words"),
    [
        ([["a"]] * 3, "the captioner gave 3 lists for 4 items; expected one each, of texts"),
        ([["a"]] * 5, "the captioner gave 5 lists for 4 items"),
        (["a", "b", "c", "d"], "the captioner gave 'a' for item 0; expected a list of one text or more"),
        ([["a"], ["b"], [None], ["d"]], r"the captioner gave \[None\] for item 2"),
        ([["a"], [], ["c"], ["d"]], r"the captioner gave \[\] for item 1"),
        (None, "the captioner gave None; expected a list of 4 lists of texts"),
        ("four", "the captioner gave 'four'; expected a list of 4 lists of texts"),
    ],
)
def test_captions_that_would_slide_to_other_items_are_refused(tmp_path: Path, captions: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        stored(tmp_path, captions)
    assert stored(tmp_path, [["a"]] * 4) == [["a"]] * 4, "and nothing was kept of them"


def test_texts_without_a_word_are_kept_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(progress._reporter, "say", said.append, raising=False)
    assert stored(tmp_path, [["a", "b"], ("c",), [""], [" ", ""]]) == [["a", "b"], ["c"], [""], [" ", ""]]
    assert said == ["    captions test items: no word in those of 2 of 4 items"]

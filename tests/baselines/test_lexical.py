"""BM25 over generated captions: the scores are Lucene's, and who lacks the package is told the command."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from baselines.lexical import Lexical
from baselines.settings import LexicalSettings
from harness.contract import entry
from harness.contract.dataset import Contents, texts
from harness.contract.instruments import Captioner
from harness.suite import registry

SAID = [["a dog barks", "Dog, then rain!"], ["rain on a roof"], ["birds sing", "a bird sings in the rain, rain"], ["…"]]


class Scripted(Captioner):
    def describe(self, contents: Contents) -> list[list[str]]:
        return [SAID[int(name)] for name in contents]

    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


GALLERY = texts(["0", "1", "2", "3"])


def made(k1: float = 1.5, b: float = 0.75) -> Lexical:
    lexical = Lexical(LexicalSettings(k1=k1, b=b), captioner=Scripted())
    lexical.index(GALLERY)
    return lexical


def bm25(asked: list[str], k1: float, b: float) -> list[float]:
    documents = [
        ["a", "dog", "barks", "dog", "then", "rain"],
        ["rain", "on", "a", "roof"],
        ["birds", "sing", "a", "bird", "sings", "in", "the", "rain", "rain"],
        [],
    ]
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        counts, total = Counter(document), 0.0
        for word in asked:
            holding = sum(word in each for each in documents)
            rare = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
            total += rare * counts[word] / (counts[word] + k1 * (1 - b + b * len(document) / mean))
        scores.append(total)
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4)])
def test_scores_are_those_of_the_formula(k1: float, b: float) -> None:
    found = made(k1, b).search(texts(["Dog in the rain", "a bird, a dog", "rain"]), 4)
    for row, asked in enumerate((["dog", "in", "the", "rain"], ["a", "bird", "a", "dog"], ["rain"])):
        expected = np.array(bm25(asked, k1, b))
        assert np.allclose(found.scores[row], expected[found.ids[row]], rtol=1e-5)
        assert np.allclose(found.scores[row], np.sort(expected)[::-1], rtol=1e-5)


def test_words_that_no_caption_has_find_nobody_before_another() -> None:
    found = made().search(texts(["xylophone", ""]), 4)
    assert found.ids.tolist() == [[0, 1, 2, 3]] * 2 and not found.scores.any()


def test_what_is_added_counts_as_if_it_had_been_there() -> None:
    grown = Lexical(LexicalSettings(), captioner=Scripted())
    grown.index(GALLERY[:2])
    grown.add(GALLERY[2:])
    asked = texts(["rain birds", "dog"])
    assert np.array_equal(grown.search(asked, 4).scores, made().search(asked, 4).scores)


def test_without_the_package_it_says_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "_importable", lambda module: False)
    assert "pip install bm25s" in str(registry.kinds("retrievers")["lexical"].missing())


def test_postings_are_counted_one_for_each_word_asked_and_document_that_has_it() -> None:
    lexical = made()
    lexical.search(texts(["dog and rain", "a", "nobody says so"]), 2)  # dog: 1 document, rain: 3, a: 3
    assert lexical.counts() == {"postings": 1 + 3 + 3}
    lexical.reset_counts()
    assert lexical.counts() == {"postings": 0}

"""What single towers share, and the likelihood: every pair is scored, once, and rightly, in batches of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from kit import Kit

from baselines.single_tower import scorer
from baselines.single_tower.likelihood import Likelihood
from baselines.single_tower.scorer import Scorer, SingleTower, batches
from harness.contract.dataset import Contents, Unavailable, texts
from harness.contract.instruments import Captioner
from harness.contract.settings import Settings


class Letters(SingleTower):
    """Counts the letters that a text and a name share; writes down how many pairs it was given at once."""

    def __init__(self) -> None:
        self.given: list[int] = []

    def prepare(self, media: Contents) -> dict[str, np.ndarray]:
        return {"names": np.array(list(media), dtype="U8")}

    def judge(self, asked: Sequence[str], pairs: np.ndarray) -> np.ndarray:
        self.given.append(len(pairs))
        names = self.media["names"]
        return np.array([len(set(asked[q]) & set(names[n])) for q, n in pairs.tolist()], np.float32)


@pytest.mark.parametrize("room", [1, 13, 10_000])
def test_blocks_change_no_answer(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(scorer, "SCORES_AT_ONCE", room)
    tower = Letters()
    tower.index(texts(["abc", "cde", "xyz", "abx", "qqq"]))
    ranking = tower.search(texts(["ab", "xy", "", "cde"]), 3)
    assert ranking.ids.tolist() == [[0, 3, 1], [2, 3, 0], [0, 1, 2], [1, 0, 2]]
    assert ranking.scores[0].tolist() == [2, 2, 0]
    assert max(tower.given) <= max(room, 5) and sum(tower.given) == tower.counts()["pairs"] == 20


@given(some.lists(some.text("ab ", max_size=12), min_size=1, max_size=9), some.integers(1, 7), some.integers(0, 2**20))
def test_batches_hold_every_pair_once(asked: list[str], size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.stack([rng.integers(len(asked), size=30), rng.integers(50, size=30)], axis=1)
    seen = []
    for batch in batches(asked, pairs, size):
        assert len(batch.rows) <= size
        assert [batch.texts[query] for query in batch.pairs[:, 0]] == [asked[query] for query in pairs[batch.rows, 0]]
        assert batch.items[batch.pairs[:, 1]].tolist() == pairs[batch.rows, 1].tolist()
        seen += batch.rows.tolist()
    assert sorted(seen) == list(range(30))


def test_likelihood_ranks_as_its_captioner_judges(tiny: Callable[[str], Kit]) -> None:
    kit = tiny("audio")
    pairs = kit.test("text-audio")
    queries, gallery = pairs.queries[:4], pairs.candidates[:9]
    tower = Likelihood(Settings(), captioner=kit.captioner)
    tower.index(gallery)
    assert isinstance(tower, Scorer)
    found = tower.search(queries, 9)
    prepared = kit.captioner.prepare(gallery)
    for row, text in enumerate(queries):
        alone = np.array([kit.captioner.likelihood([text], prepared, np.array([[0, item]]))[0] for item in range(9)])
        assert np.allclose(found.scores[row], alone[found.ids[row]], atol=1e-3)
        assert np.allclose(found.scores[row], np.sort(alone)[::-1], atol=1e-3)


def test_a_captioner_that_can_not_judge_says_which_can(tiny: Callable[[str], Kit]) -> None:
    class Mute(Captioner):
        def describe(self, contents: Contents) -> list[list[str]]:
            return [["…"] for _ in contents]

        def save(self, folder: object) -> None: ...
        def load(self, folder: object) -> None: ...

    with pytest.raises(Unavailable, match="Mute can't say how likely a text is; use a captioner of kind small"):
        Likelihood(Settings(), captioner=Mute()).index(tiny("audio").test("text-audio").candidates)

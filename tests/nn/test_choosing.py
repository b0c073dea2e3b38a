"""Settings that are chosen on the validation gallery: the best, told and kept, and tried once for all who share it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from kit import Kit
from links import single

from baselines.controls import Control
from baselines.dual_tuned import DualTuned
from baselines.settings import DualTunedSettings
from cart.retriever import CartRetriever
from cart.settings import CartSettings
from harness.contract.dataset import Contents, Links, Pairs, texts
from harness.contract.retriever import Ranking, padded
from harness.contract.settings import Settings
from harness.nn import choosing
from harness.store.artifacts import Store

QUESTIONS = Pairs(texts(list("abcdefgh")), texts(list("ABCDEFGH")), single(np.arange(8)))


class Knowing(Control):
    """Answers so many queries rightly."""

    def __init__(self, right: int) -> None:
        super().__init__(Settings())
        self.right = right

    def search(self, queries: Contents, k: int) -> Ranking:
        ids = queries.positions[:, None].copy()
        ids[self.right :] = (ids[self.right :] + 1) % 8
        return padded(ids, np.zeros(ids.shape, np.float32), len(queries), k)


def test_the_best_comes_first_and_of_equal_ones_the_first() -> None:
    found = choosing.choose(
        {"lr": [0.1, 0.2], "steps": [0, 5, 9]}, QUESTIONS, lambda values: Knowing(min(6, int(values["steps"])))
    )
    assert [(each["lr"], each["steps"], each["hit@1"]) for each in found][:3] == [
        (0.1, 9, 0.75),
        (0.2, 9, 0.75),
        (0.1, 5, 0.625),
    ]
    assert len(found) == 6


def test_any_right_candidate_counts_once() -> None:
    links = Links.listed([[0, 1], [2], []])
    assert choosing.hits(np.array([1, 0, 2]), links) == pytest.approx(1 / 3)
    assert choosing.hits(np.array([-1, 2, -1]), links) == pytest.approx(1 / 3)


def test_nothing_to_choose_with() -> None:
    with pytest.raises(ValueError, match="validation has no queries to choose with"):
        choosing.choose({"steps": [1]}, Pairs.empty("text", "audio"), lambda values: Knowing(0))


def test_what_was_tried_is_kept_by_all_that_it_depends_on(tmp_path: Path) -> None:
    store, asked = Store(tmp_path), list[float]()

    def sibling(values: choosing.Values) -> Knowing:
        asked.append(values["steps"])
        return Knowing(3)

    for known, tries in (({"a": 1}, [1, 2]), ({"a": 1}, [1, 2]), ({"a": 2}, [1, 2]), ({"a": 1}, [1, 3])):
        choosing.choose({"steps": tries}, QUESTIONS, sibling, store, known)
    assert asked == [1, 2, 1, 2, 1, 3]


@pytest.mark.parametrize("text", ["tower", "captioner"])
def test_the_control_never_falls_below_what_it_starts_from(
    tiny: Callable[[str], Kit], tmp_path: Path, text: Literal["tower", "captioner"]
) -> None:
    """Captions of an untrained captioner only do harm: then it stays as it is."""
    kit = tiny("audio")
    train, validation = kit.training("text-audio")
    tries = {"lr": [0.01, 0.0001], "steps": [0.0, 30.0], "temperature": [2.0]}
    settings = DualTunedSettings(batch=32, text=text, tune=tries)
    tuned = DualTuned(settings, kit.encoder, kit.captioner, 0)
    tuned.fit(train, validation)
    plain = next(each["hit@1"] for each in tuned.tried if each["steps"] == 0)
    assert tuned.tried[0]["hit@1"] >= plain
    assert (tuned.steps, tuned.lr) == (tuned.tried[0]["steps"], tuned.tried[0]["lr"])
    assert tuned.temperature == 2
    vectors = kit.encoder.encode(validation.queries) @ kit.encoder.embed(validation.candidates).T
    assert plain == pytest.approx(choosing.hits(vectors.argmax(1), validation.links), abs=0.01), "step 0 is the start"
    tuned.index(kit.test("text-audio").candidates)
    tuned.save(tmp_path)
    again = DualTuned(settings, kit.encoder, kit.captioner, 0)
    again.load(tmp_path)
    assert again.details() == tuned.details() == {"tried": tuned.tried}
    assert again.steps == tuned.steps


def test_cart_chooses_with_its_start_on_the_same_gallery(tiny: Callable[[str], Kit], tmp_path: Path) -> None:
    kit = tiny("audio")
    train, validation = kit.training("text-audio")
    gallery = kit.test("text-audio").candidates
    start = DualTuned(DualTunedSettings(steps=2, batch=16), kit.encoder, kit.captioner, 0)
    start.fit(train, validation)
    start.index(gallery)
    small: dict[str, Any] = {"clusters": 4, "codes": 4, "width": 48, "layers": 1, "batch": 16}
    settings = CartSettings(start="start", tune={"steps": [1, 3]}, **small)
    made = CartRetriever(settings, kit.encoder, kit.captioner, 0, start=start)
    made.fit(train, validation)
    assert {each["steps"] for each in made.tried} == {1, 3}
    assert made.plan.steps == made.tried[0]["steps"]
    assert made.start is start, "it is its own gallery's start again"
    made.index(gallery)
    made.save(tmp_path)
    again = CartRetriever(settings, kit.encoder, kit.captioner, 0, start=start)
    again.load(tmp_path)
    assert again.details()["tried"] == made.tried

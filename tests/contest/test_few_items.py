"""Hardly any data: whatever learns either does so, or says in a sentence that nothing can be learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from baselines.captioners.small import SmallCaptioner
from baselines.dual_tuned import DualTuned
from baselines.encoders.small import SmallEncoder
from baselines.single_tower.match import Match
from cart.retriever import CartRetriever
from harness.contract.retriever import Retriever
from harness.data.datasets.soundscapes import Soundscapes

STEPS: dict[str, Any] = {"steps": 3, "lr": 1e-3}
CART: dict[str, Any] = {**STEPS, "batch": 4, "width": 48, "layers": 1}


def test_one_item_teaches_nothing_and_that_is_said() -> None:
    train = Soundscapes(train=1, validation=1, test=0).split("train").pairs("text-audio")
    with pytest.raises(ValueError, match="got 1 items with 5 different texts to learn from: name a larger"):
        SmallEncoder(**STEPS, batch=4, dim=16).fit(train, train)


@pytest.mark.parametrize(("items", "validation", "gallery"), [(2, 0, 1), (3, 1, 2), (15, 1, 3)])
def test_whatever_learns_takes_a_handful(items: int, validation: int, gallery: int) -> None:
    data = Soundscapes(train=items, validation=validation, test=gallery)
    train, few, test = (data.split(name).pairs("text-audio") for name in ("train", "validation", "test"))
    encoder = SmallEncoder(**{**STEPS, "steps": 6}, batch=4, dim=16)  # so many that batches of neighbours are drawn
    encoder.fit(train, few)
    captioner = SmallCaptioner(encoder, **STEPS, items=64, texts=2, samples=2, temperature=1.0)
    captioner.fit(train, few)
    start = DualTuned(encoder, captioner, **STEPS, batch=8, teacher="likelihood", teacher_texts=40)
    made: list[Callable[[], Retriever]] = [
        lambda: DualTuned(encoder, captioner, **STEPS, batch=8),
        lambda: start,
        lambda: Match(encoder, **STEPS, items=64, negatives=5, layers=1),
        lambda: CartRetriever(encoder, captioner, **CART),
        lambda: CartRetriever(encoder, captioner, start=start, text="vector", teacher="start", **CART),
    ]
    for make in made:
        retriever = make()
        retriever.fit(train, few)
        retriever.index(test.candidates)
        found = retriever.search(test.queries[:2], 5)
        assert sorted(found.ids[0][: len(test.candidates)].tolist()) == list(range(gallery)), type(retriever).__name__

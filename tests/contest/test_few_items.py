"""Hardly any data: whatever learns either does so, or says in a sentence that nothing can be learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from baselines.captioners.settings import SmallCaptionerSettings
from baselines.captioners.small import SmallCaptioner
from baselines.dual_tuned import DualTuned
from baselines.encoders.settings import SmallEncoderSettings
from baselines.encoders.small import SmallEncoder
from baselines.settings import DualTunedSettings
from baselines.single_tower.match import Match
from baselines.single_tower.settings import MatchSettings
from cart.retriever import CartRetriever
from cart.settings import CartSettings
from harness.contract.dataset import Pairs
from harness.contract.retriever import Retriever
from harness.data.datasets.soundscapes import Soundscapes, SoundscapesSettings

STEPS: dict[str, Any] = {"steps": 3, "lr": 1e-3}
CART: dict[str, Any] = {**STEPS, "batch": 4, "width": 48, "layers": 1}


def test_one_item_teaches_nothing_and_that_is_said() -> None:
    train = Soundscapes(SoundscapesSettings(train=1, validation=1, test=1)).split("train").pairs("text-audio")
    with pytest.raises(ValueError, match="got 1 items with 5 different texts to learn from: name a larger"):
        SmallEncoder(SmallEncoderSettings(batch=4, dim=16, trained_on="tiny", patience=0, **STEPS), seed=0).fit(
            train, train
        )


@pytest.mark.parametrize(("items", "validation", "gallery"), [(2, 0, 1), (3, 1, 2), (15, 1, 3)])
def test_whatever_learns_takes_a_handful(items: int, validation: int, gallery: int) -> None:
    data = Soundscapes(SoundscapesSettings(train=items, validation=max(1, validation), test=gallery))
    train, few, test = (data.split(name).pairs("text-audio") for name in ("train", "validation", "test"))
    few = few if validation else Pairs.empty("text", "audio")
    encoder = SmallEncoder(
        SmallEncoderSettings(batch=4, dim=16, trained_on="tiny", patience=0, **{**STEPS, "steps": 6}), seed=0
    )  # so many that batches of neighbours are drawn
    encoder.fit(train, few)
    captioner = SmallCaptioner(
        SmallCaptionerSettings(items=64, texts=2, samples=2, temperature=1.0, encoder="tiny", **STEPS),
        encoder=encoder,
        seed=0,
    )
    captioner.fit(train, few)
    start = DualTuned(
        DualTunedSettings(batch=8, teacher="likelihood", teacher_texts=40, **STEPS),
        encoder=encoder,
        captioner=captioner,
        seed=0,
    )
    made: list[Callable[[], Retriever]] = [
        lambda: DualTuned(DualTunedSettings(batch=8, **STEPS), encoder=encoder, captioner=captioner, seed=0),
        lambda: start,
        lambda: Match(MatchSettings(items=64, negatives=5, layers=1, **STEPS), encoder=encoder, seed=0),
        lambda: CartRetriever(CartSettings(**CART), encoder=encoder, captioner=captioner, seed=0),
        lambda: CartRetriever(
            CartSettings(text="vector", teacher="start", start="tuned", **CART),
            encoder=encoder,
            captioner=captioner,
            start=start,
            seed=0,
        ),
    ]
    for make in made:
        retriever = make()
        retriever.fit(train, few)
        retriever.index(test.candidates)
        found = retriever.search(test.queries[:2], 5)
        assert sorted(found.ids[0][: len(test.candidates)].tolist()) == list(range(gallery)), type(retriever).__name__

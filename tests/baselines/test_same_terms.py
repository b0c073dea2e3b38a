"""What all paradigms share: the precision of a search, and where encoding the query ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from conformance.cases import CASES
from kit import Kit

from harness.contract.dataset import texts
from harness.contract.retriever import Retriever
from harness.machine import compute

WAIT = 0.15
# What encodes a query, and what comes after: (owner, method), looked up on the retriever.
HALVES: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "dual_tower": (("encoder", "encode"), ("neighbours", "search")),
    "dual_tuned": (("searching", "layered"), ("neighbours", "search")),
    "caption_match": (("encoder", "encode"), ("neighbours", "search")),
    "match": (("searching", "words"), ("searching", "forward")),
    "cart": (("searching.encoder", "forward"), ("searching", "prepare")),
}


def built(name: str, kit: Kit) -> Retriever:
    retriever = CASES[name].build(kit)
    retriever.fit(*kit.training("text-audio"))
    retriever.index(kit.test("text-audio").candidates)
    return retriever


@pytest.mark.parametrize("name", HALVES)
def test_encode_is_the_text_side_and_nothing_else(
    name: str, tiny: Callable[[str], Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that "search only" means the same for all: a decoder's keys and values of the query belong to the search."""
    retriever = built(name, tiny("audio"))
    calls = [0, 0]

    def slow(which: int, owner: str, method: str) -> None:
        found: Any = retriever
        for part in owner.split("."):
            found = getattr(found, part)
        plain = getattr(found, method)

        def waiting(*given: Any, **named: Any) -> Any:
            calls[which] += 1
            time.sleep(WAIT)
            return plain(*given, **named)

        monkeypatch.setattr(found, method, waiting)

    for which, (owner, method) in enumerate(HALVES[name]):
        slow(which, owner, method)
    compute.take_stages()
    retriever.search(texts(["a bell rings twice"]), 3)
    stages = compute.take_stages()
    encoding, rest = stages.pop("encode"), sum(stages.values())
    assert min(calls) > 0
    for seconds, count in ((encoding, calls[0]), (rest, calls[1])):
        assert WAIT * count <= seconds < WAIT * (count + 0.9), (stages, calls)


@pytest.mark.parametrize("name", ["cart", "dual_tuned"])
def test_a_text_side_of_ones_own_has_the_encoders_precision(
    name: str, tiny: Callable[[str], Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    kit, asked, plain = tiny("audio"), [], compute.ready

    def ready(module: Any, precision: str = "fp32") -> Any:
        asked.append(precision)
        return plain(module)

    for precision in ("bf16", "fp32"):
        asked.clear()
        with monkeypatch.context() as patch:
            patch.setattr(kit.encoder, "precision", precision)
            patch.setattr(compute, "ready", ready)
            built(name, kit)
        assert set(asked) == {precision}

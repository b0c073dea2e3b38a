"""`ablation:` in a suite: changes of a full system become retrievers, and mistakes in them are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.contract.problems import SuiteError
from harness.suite import load

HEAD = """\
name: parts
datasets: {sounds: {kind: soundscapes, train: 8, validation: 8, test: 12}}
encoders: {small: {kind: small, trained_on: sounds}}
captioners: {small: {kind: small, encoder: small}}
tasks: [{dataset: sounds, encoder: small, captioner: small}]
retrievers:
  dual: {kind: dual_tower}
  cart: {kind: cart, steps: 5, beams: 7}
  cart-taken: {kind: cart, steps: 5}
"""


def suite(folder: Path, ablation: str) -> Path:
    path = folder / "suite.yaml"
    path.write_text(HEAD + ablation)
    return path


def test_each_change_is_the_full_system_but_for_its_keys(tmp_path: Path) -> None:
    found = load(
        suite(
            tmp_path,
            "ablation: {cart: {no-fusion: {fusion: last-layer}, short: {steps: 2, identifiers: [random, atomic]}}}",
        )
    )
    names = [retriever.name for retriever in found.retrievers]
    assert names == [
        "dual",
        "cart",
        "cart-no-fusion",
        "cart-short@identifiers=random",
        "cart-short@identifiers=atomic",
        "cart-taken",
    ]
    assert found.ablation == {"cart": ("cart-no-fusion", *names[3:5])}
    made = {retriever.name: retriever.component.settings.model_dump() for retriever in found.retrievers}
    full, changed = made["cart"], made["cart-no-fusion"]
    assert {key for key in full if full[key] != changed[key]} == {"fusion"}
    assert made["cart-short@identifiers=random"]["beams"] == 7


@pytest.mark.parametrize(
    ("ablation", "line", "words"),
    [
        ("ablation: {carte: {a: {steps: 1}}}", 10, ("'carte'", "none of the retrievers", "cart")),
        ("ablation:\n  cart:\n    empty: {}", 12, ("ablation.cart.empty", "settings of cart")),
        ("ablation:\n  cart:\n    taken: {steps: 1}", 12, ("'cart-taken', which is a retriever already",)),
        ("ablation:\n  cart:\n    odd: {step: 1}", 12, ("step", "steps")),
        (
            "  many: {kind: cart, steps: [1, 2]}\nablation: {many: {a: {beams: 3}}}",
            10,
            ("with variants", "its changes"),
        ),
        ("ablation: [cart]", 10, ("ablation", "a list")),
        ("ablation:\n  cart: 3", 11, ("ablation.cart", "3")),
    ],
)
def test_mistakes_are_named(tmp_path: Path, ablation: str, line: int, words: tuple[str, ...]) -> None:
    with pytest.raises(SuiteError) as caught:
        load(suite(tmp_path, ablation))
    (problem,) = caught.value.problems
    assert problem.line == line, str(caught.value)
    for word in words:
        assert word in problem.message

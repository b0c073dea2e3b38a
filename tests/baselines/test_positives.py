"""Labels, and other texts that several items bear: none of those items counts as wrong, in training or validation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from links import single

from baselines.encoders.positives import Positives, contrast, reciprocal_ranks, right_ones
from baselines.encoders.settings import SmallEncoderSettings
from baselines.encoders.small import SmallEncoder
from baselines.single_tower.match import Match, drawn
from baselines.single_tower.settings import MatchSettings
from harness.contest.builder import Builder
from harness.contract.dataset import Contents, Links, Pairs, Split, texts
from harness.store.artifacts import Store
from harness.suite import load

COLOURS = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220), "yellow": (210, 210, 30)}
EACH = 8  # pictures of a colour


def coloured(name: str, seed: int) -> Split:
    """Pictures of one colour each, a little noise in them, and labels that say which."""
    rng, labels = np.random.default_rng(seed), [label for label in COLOURS for _ in range(EACH)]
    noise = rng.integers(-25, 26, (len(labels), 16, 16, 3))
    seen = np.clip(np.array([COLOURS[label] for label in labels])[:, None, None] + noise, 0, 255).astype(np.uint8)
    items = Contents("image", seen.__getitem__, np.arange(len(seen)), f"colours {seed}")
    names = [f"{place}" for place in range(len(seen))]
    return Split(name, items, names, texts(labels), np.arange(len(seen)), labels=True)


def borne(*items: tuple[str, ...]) -> Pairs:
    """An item each with these labels."""
    words = texts([word for each in items for word in each])
    owner = np.repeat(np.arange(len(items)), [len(each) for each in items])
    return Pairs(words, Contents("image", lambda place: None, np.arange(len(items)), "none"), single(owner))


def test_a_label_is_right_for_all_that_bear_it() -> None:
    pairs = borne(("dog", "bark"), ("cat",), ("rain", "dog"), ("dog",))
    found = Positives(pairs).among(np.array([1, 2, 3, 5]), np.array([0, 1, 2, 3]))  # bark, cat, rain, dog
    assert found is not None and found.int().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 1, 1]]
    assert Positives(pairs).among(np.array([2, 1]), np.array([1, 0])) is None, "in this batch each is its own item's"
    assert Positives(borne(("one", "same", "same"), ("two",))).shared is False


def test_where_each_text_is_one_items_the_loss_is_the_cross_entropy() -> None:
    logits, own = torch.randn(6, 6), torch.arange(6)
    expected = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    assert torch.equal(contrast(logits, None), expected)
    assert torch.allclose(contrast(logits, torch.eye(6, dtype=torch.bool)), expected, atol=1e-5)


def test_what_is_perfectly_told_apart_costs_nothing() -> None:
    right = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    assert contrast(50.0 * right, right) < 1e-4
    assert contrast(50.0 * torch.eye(3), right) > 5, "one of two right ones is not enough"


def test_a_query_ranks_as_its_best_right_one_does() -> None:
    scores = torch.tensor([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3], [0.5, 0.1, 0.2]])
    right = right_ones(Links(np.array([0, 2, 3, 3]), np.array([1, 2, 0])), 3)
    assert reciprocal_ranks(scores, right).tolist() == pytest.approx([1 / 2, 1 / 3, 0.0])


def test_a_small_encoder_learns_labels_all_the_way() -> None:
    """With items of one label as each other's negatives the loss ends at ln 8 here, and an item's rank near 4."""
    encoder = SmallEncoder(
        SmallEncoderSettings(steps=20, batch=32, dim=16, lr=3e-3, trained_on="tiny", patience=0), seed=0
    )
    encoder.fit(coloured("train", 0).pairs("text-image"), coloured("validation", 1).questions("text-image"))
    learned = encoder.details()
    assert learned["validation MRR"] > 0.99
    assert learned["loss"] < 0.25 * np.log(len(COLOURS))


def test_a_right_candidate_is_no_negative_of_match() -> None:
    right = torch.block_diag(*[torch.ones(EACH, EACH)] * 4).bool()
    chosen = drawn(torch.where(right, 20.0, -20.0), 5, np.random.default_rng(0), right)
    assert chosen[:, 0].tolist() == list(range(32))
    assert not right.gather(1, chosen)[:, 1:].any()
    encoder = SmallEncoder(
        SmallEncoderSettings(steps=2, batch=32, dim=16, lr=1e-3, trained_on="tiny", patience=0), seed=0
    )
    train, validation = coloured("train", 0).pairs("text-image"), coloured("validation", 1).questions("text-image")
    encoder.fit(train, validation)
    match = Match(
        MatchSettings(steps=2, items=32, negatives=30, lr=1e-3, layers=1), encoder=encoder, seed=0
    )  # more than there are wrong ones
    match.fit(train, validation)
    match.index(validation.candidates)
    assert np.isfinite(match.search(validation.queries, 5).scores).all()


def test_validation_asks_each_label_once(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.eye(9, dtype=np.float32))
    splits = ["train", "validation", "test"]
    rows = [f"{row},{['dog', 'cat'][row % 2]},{splits[row // 3]}" for row in range(9)]
    (tmp_path / "mine.csv").write_text("\n".join(["row,label,split", *rows]))
    (tmp_path / "suite.yaml").write_text(
        f"name: mine\ndatasets: {{mine: {{kind: manifest, path: {tmp_path}/mine.csv, modality: image, "
        f"vectors: {tmp_path}/vectors.npy}}}}\ntasks: [{{dataset: mine}}]\nretrievers: {{random: {{kind: random}}}}\n"
    )
    builder = Builder(Store(tmp_path / "cache"), tmp_path)
    train, validation = builder.pairs(load(tmp_path / "suite.yaml").tasks[0].dataset, "text-image")
    assert list(train.queries) == ["dog", "cat", "dog"]
    assert list(validation.queries) == ["cat", "dog"]
    assert [validation.links.of(query).tolist() for query in (0, 1)] == [[0, 2], [1]]

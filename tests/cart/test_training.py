"""Training: the loss against its definition, and a run cut off anywhere against one left alone."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harm import flip
from score_all import score_all
from torch import Tensor

from cart import training
from cart import trie as tries
from cart.batches import Batch
from cart.decoding import search
from cart.model import CART, Words
from cart.training import CHECKPOINT, Meant, Plan, disagreement, losses, train
from harness.machine import files

SIZES = (5, 4, 3)
PLAN = Plan(steps=12, batch=8, lr=3e-3, loss="legal", consistency=0.15, seed=0, checkpoint=4)


def tree() -> tries.Trie:
    rows = np.random.default_rng(0).permutation(60)[:25]
    return tries.build(np.stack(np.unravel_index(rows, SIZES), axis=1).astype(np.int32), SIZES)


def model(dropout: float = 0.1) -> CART:
    torch.manual_seed(0)
    return CART(Words(40, 8, 24, 2, 2, dropout), SIZES, 24, 1, 2, dropout)


def text_of(rows: np.ndarray) -> Tensor:
    return torch.from_numpy(np.stack([rows % 6 + 1, rows // 6 + 10, rows % 7 + 20], axis=1))


def draw(rng: np.random.Generator, count: int) -> Batch:
    return certain(rng.integers(0, 25, count))


def certain(rows: np.ndarray) -> Batch:
    return Batch(text_of(rows), rows[:, None], np.ones((len(rows), 1), np.float32))


def meant(lesson: Batch) -> Meant:
    trie = tree()
    paths, tokens = (torch.from_numpy(x).long() for x in (trie.paths(), trie.identifiers()))
    return Meant.of(lesson, np.random.default_rng(0), paths, tokens)


def weights(trained: CART) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trained.state_dict().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


class Killed(BaseException):
    pass


def killed_at(last: int) -> Any:
    calls = 0

    def drawn(rng: np.random.Generator, count: int) -> Batch:
        nonlocal calls
        calls += 1
        if calls > last:
            raise Killed
        return draw(rng, count)

    return drawn


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Tensor]:
    trained = model()
    train(trained, tree(), draw, PLAN)
    return weights(trained)


@pytest.mark.parametrize("last", [0, 3, 4, 6, 11])
def test_a_run_that_was_cut_off_ends_in_the_same_weights(
    last: int, undisturbed: dict[str, Tensor], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train(model(), tree(), killed_at(last), PLAN, tmp_path)
    torch.manual_seed(12345)  # the new process's own chance must not matter
    resumed, left = model(), killed_at(12 - last // 4 * 4)  # no more steps than are missing
    train(resumed, tree(), left, PLAN, tmp_path)
    assert_same(weights(resumed), undisturbed)
    finished = model()
    train(finished, tree(), killed_at(0), PLAN, tmp_path)  # nothing is left to do
    assert_same(weights(finished), undisturbed)


def test_what_was_spent_before_the_cut_is_told(tmp_path: Path) -> None:
    def slow(rng: np.random.Generator, count: int) -> Batch:
        time.sleep(0.05)
        return cut(rng, count)

    assert train(model(), tree(), draw, PLAN) == 0.0, "nothing came before"
    begun = time.perf_counter()
    for last, steps in ((6, 4), (5, 8)):  # cut off after the checkpoint at 4, and again after that at 8
        cut = killed_at(last)
        with pytest.raises(Killed):
            train(model(), tree(), slow, PLAN, tmp_path)
        cut = killed_at(99)
        earlier = train(model(), tree(), slow, PLAN, copied(tmp_path))
        assert 0.05 * steps <= earlier < time.perf_counter() - begun


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(folder, folder.with_name(f"{folder.name} again"), dirs_exist_ok=True))


def test_checkpoints_of_other_runs_and_broken_ones_are_not_taken_up(
    undisturbed: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(training, "say", said.append)
    train(model(), tree(), draw, PLAN, tmp_path, subject="other identifiers")
    again = model()
    train(again, tree(), draw, PLAN, tmp_path)
    assert_same(weights(again), undisturbed)
    assert not said
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    again = model()
    train(again, tree(), draw, PLAN, tmp_path)
    assert_same(weights(again), undisturbed)
    assert len(said) == 1 and "can't be resumed" in said[0]


@pytest.mark.parametrize("place", [5, 2000, -1])
def test_a_flipped_bit_in_a_checkpoint_is_found(
    place: int, undisturbed: dict[str, Tensor], tmp_path: Path, messages: list[str]
) -> None:
    """In its facts, in its tensors, in its seal: it isn't resumed, and training starts from the beginning."""
    with pytest.raises(Killed):
        train(model(), tree(), killed_at(6), PLAN, tmp_path)
    flip(tmp_path / CHECKPOINT, place)
    again = model()
    train(again, tree(), draw, PLAN, tmp_path)
    assert_same(weights(again), undisturbed)
    assert any("altered" in line and "from the beginning" in line for line in messages)


def test_a_full_disk_costs_the_checkpoint_and_nothing_else(
    undisturbed: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(training, "say", said.append)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(Killed):
        train(model(), tree(), killed_at(5), PLAN, tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", full)
        trained = model()
        train(trained, tree(), draw, PLAN, tmp_path)
    assert_same(weights(trained), undisturbed)
    assert len(said) == 2 and all("No space left" in line for line in said)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]  # the one before, whole, and no half of a new one
    assert (tmp_path / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize("loss", ["legal", "full"])
def test_the_loss_is_the_negative_log_probability_of_the_whole_identifier(loss: Any) -> None:
    trie, built = tree().on("cpu"), model().eval()
    rows = np.arange(25)
    batch = meant(certain(rows))
    found = losses(built, trie, batch, replace(PLAN, loss=loss, consistency=0.0))
    everything = score_all(built, text_of(rows), trie, loss)
    torch.testing.assert_close(found.total, -everything.diag().mean(), rtol=1e-5, atol=1e-5)
    same = losses(built, trie, batch, replace(PLAN, loss=loss, consistency=5.0))
    torch.testing.assert_close(same.total, found.total)  # without dropout both passes agree
    for encoded_apart in (True, False):  # an encoder without dropout hears a query once for both passes
        built = model() if encoded_apart else CART(Words(40, 8, 24, 2, 2, 0.0), SIZES, 24, 1, 2, 0.1)
        assert built.train().same_encoding is not encoded_apart
        plain, held = (losses(built, trie, batch, replace(PLAN, loss=loss, consistency=weight)) for weight in (1e-9, 5))
        assert held.total > plain.total + 1e-3


@pytest.mark.parametrize("loss", ["legal", "full"])
def test_a_posterior_summed_along_the_tree_is_the_cross_entropy_with_it(loss: Any) -> None:
    """Whichever candidate is followed; on average over those that may be, exactly."""
    trie, built = tree().on("cpu"), model().eval()
    ids, odds = np.array([[3, 7, 21, 8]]), np.array([[0.4, 0.3, 0.2, 0.1]], np.float32)
    likely = score_all(built, text_of(np.arange(1)), trie, loss)[0, ids[0]]
    expected = -(torch.from_numpy(odds[0]) * likely).sum()
    average = torch.zeros(())
    for place, share in enumerate(odds[0].tolist()):
        batch = meant(Batch(text_of(np.arange(1)), ids, odds))
        followed = meant(certain(ids[0, place : place + 1]))
        batch = batch._replace(tokens=followed.tokens, paths=followed.paths)
        average = average + share * losses(built, trie, batch, replace(PLAN, loss=loss, consistency=0.0)).total
    torch.testing.assert_close(average, expected, rtol=1e-5, atol=1e-5)


def test_candidates_are_followed_as_often_as_the_teacher_thinks() -> None:
    rows = np.zeros(20_000, np.int64)
    odds = np.tile(np.array([[0.25, 0.75, 0]], np.float32), (len(rows), 1))
    lesson = Batch(text_of(rows), np.tile(np.array([[4, 2, 9]]), (len(rows), 1)), odds)
    followed, names = meant(lesson).tokens, torch.from_numpy(tree().identifiers()).long()
    shares = [float((followed == names[item]).all(1).float().mean()) for item in (4, 2, 9)]
    assert abs(shares[0] - 0.25) < 0.02 and abs(shares[1] - 0.75) < 0.02 and shares[2] == 0


def test_disagreement_is_the_divergence_both_ways() -> None:
    torch.manual_seed(0)
    one, other = torch.randn(2, 6, 5).log_softmax(-1)
    there = F.kl_div(one, other, log_target=True, reduction="batchmean")
    back = F.kl_div(other, one, log_target=True, reduction="batchmean")
    torch.testing.assert_close(disagreement(one, other), (there + back) / 2)


@pytest.mark.parametrize("loss", ["legal", "full"])
def test_trained_long_enough_every_query_finds_its_candidate(loss: Any) -> None:
    trained, plan = model(), replace(PLAN, steps=150, batch=25, lr=5e-3, loss=loss)
    train(trained, tree(), draw, plan)
    assert not trained.training
    rows = search(trained, text_of(np.arange(25)), tree().on("cpu"), 5, 1, loss).rows[:, 0]
    assert (rows == torch.arange(25)).float().mean() >= 0.95


def test_a_loss_that_is_no_number_stops_training() -> None:
    broken = model()
    broken.start.data.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="lower the lr"):
        train(broken, tree(), draw, PLAN)


def test_what_is_trained_in_half_precision_is_kept_in_single() -> None:
    trained = model()
    train(trained, tree(), draw, replace(PLAN, steps=5))
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in trained.state_dict().values())

"""Distillation: a teacher says which candidates a text fits, so that any text can serve as a query in training.

    dual        softmax of scaled cosines between the text and some candidates
    likelihood  softmax of log p(text | candidate) over the same candidates: the posterior under a uniform prior
    start       the scores of the fine-tuned dual tower that a retriever starts from

For retrievers that take `teacher:`. A contestant and its controls share one posterior, computed once and booked with
each of them. Half of the texts are queries of the *train* split, which describe other items than the gallery's, half
are generated captions of the gallery. Each is scored against the candidates nearest to it in the dual tower's space,
mostly near misses, and a few random ones: the contrast shows what each word of the text means.

Provenance: of the gallery a teacher sees the media alone, never a real caption of a test item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from harness.contract.dataset import Contents, texts
from harness.contract.instruments import Captioner, Encoder
from harness.contract.store import Recipe, Store
from harness.machine import compute
from harness.machine.progress import track
from harness.nn.batching import by_length

Teacher = Literal["none", "dual", "likelihood", "start"]  # posterior() of the first three; start: asked()
VERSION = 2  # raise it whenever the same settings give another posterior
NEAREST, RANDOM = 12, 4  # candidates that a teacher scores for a text
SCALE = 20.0  # of cosines: what contrastive training of the small encoder ends near
LIKELIEST = 50  # candidates of a text that a fine-tuned dual tower keeps; all others get probability 0
SCORES_AT_ONCE = 1 << 24
PAIRS_AT_ONCE = 256  # fits a processor's cache: half the time of 2048


@dataclass(frozen=True)
class Posterior:
    """A teacher's distribution over candidates for each of T texts."""

    texts: tuple[str, ...]
    ids: np.ndarray  # int32 [T, n]: positions in the gallery
    odds: np.ndarray  # float32 [T, n]: a row sums to 1

    def __len__(self) -> int:
        return len(self.texts)

    def softened(self, temperature: float) -> Posterior:
        """Above 1 the less likely candidates count for more, below 1 for less."""
        if temperature == 1:
            return self
        with np.errstate(divide="ignore"):
            return replace(self, odds=shares(np.log(self.odds) / temperature))

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """The numbers of texts drawn evenly."""
        return rng.integers(max(1, len(self)), size=count)


NOTHING = Posterior((), np.empty((0, 1), np.int32), np.empty((0, 1), np.float32))


class TextScorer(Protocol):
    """A retriever that has learnt the gallery."""

    def score_texts(self, texts: Contents, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k likeliest candidates of each text, int32 [T, k], and log-probabilities up to a constant [T, k]."""


def posterior(
    teacher: Teacher,
    train_texts: Contents | None,
    gallery: Contents,
    encoder: Encoder,
    captioner: Captioner,
    count: int,
    store: Store | None = None,
) -> Posterior:
    """A teacher's posterior for `count` texts; without a store it is computed anew every time."""
    if teacher == "none":
        return NOTHING
    chosen, own = training_texts(teacher, train_texts, captioner.captions(gallery), count)
    if store is None:
        return Posterior(chosen, *_scored(teacher, chosen, own, gallery, encoder, captioner))
    settings = {"teacher": teacher, "texts": count, "nearest": [NEAREST, RANDOM], "scale": SCALE, "version": VERSION}
    parents = {"encoder": encoder.digest, "captioner": captioner.digest}
    assert train_texts is not None  # or there would be no texts
    data = {"train": train_texts.digest, "gallery": gallery.digest}

    def build(folder: Path) -> None:
        ids, odds = _scored(teacher, chosen, own, gallery, encoder, captioner)
        np.save(folder / "ids.npy", ids)
        np.save(folder / "odds.npy", odds)

    folder = store.make(Recipe("posterior", teacher, settings | parents | data), build).folder
    ids, odds = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("ids", "odds"))
    return Posterior(chosen, ids, odds)


def asked(start: TextScorer, chosen: Sequence[str], k: int) -> Posterior:
    """The posterior of a fine-tuned dual tower over the k likeliest candidates of each text."""
    with compute.half_precision():  # the result is for training
        ids, scores = start.score_texts(texts(chosen), k)
    return Posterior(tuple(chosen), ids, shares(scores))


def training_texts(
    teacher: Teacher, train_texts: Contents | None, captions: list[list[str]], count: int
) -> tuple[tuple[str, ...], np.ndarray]:
    """The texts, half from the train split and half captions of candidates, and the candidate that each describes: -1
    for those of the train split. The choice depends on no retriever's seed, so that all share it.
    """
    if train_texts is None or train_texts.modality != "text" or not len(train_texts):
        raise ValueError(f"teacher: {teacher} needs the texts of a train split, and there are none; use teacher: none")
    described = [(text, item) for turn in zip_longest(*captions) for item, text in enumerate(turn) if text is not None]
    described = described[: max(count // 2, count - len(train_texts))]
    rows = np.sort(np.random.default_rng(0).permutation(len(train_texts))[: count - len(described)])
    own = np.array([-1] * len(rows) + [item for _, item in described], np.int64)
    return (*train_texts[rows], *(text for text, _ in described)), own


def _scored(
    teacher: Teacher,
    chosen: tuple[str, ...],
    own: np.ndarray,
    gallery: Contents,
    encoder: Encoder,
    captioner: Captioner,
) -> tuple[np.ndarray, np.ndarray]:
    ids, cosines = _candidates(encoder.encode(texts(chosen)), encoder.embed(gallery), own)
    return ids, shares(SCALE * cosines if teacher == "dual" else _likelihoods(chosen, ids, captioner, gallery))


def shares(scores: np.ndarray) -> np.ndarray:
    """The softmax of each row of log-probabilities (T, n): float32."""
    odds = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def _candidates(queries: np.ndarray, candidates: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions int32 [T, n] and cosines [T, n], in no order, of candidates to score; a text's own is among them."""
    near = min(NEAREST, len(candidates))
    kept = min(NEAREST + RANDOM, len(candidates))
    ids, cosines = np.empty((len(queries), kept), np.int32), np.empty((len(queries), kept), np.float32)
    rng = np.random.default_rng(0)
    step = max(1, SCORES_AT_ONCE // len(candidates))
    for start in range(0, len(queries), step):
        scores = queries[start : start + step] @ candidates.T
        rows = np.arange(len(scores))
        ranked = scores.copy()
        described = own[start : start + step] >= 0
        ranked[rows[described], own[start : start + step][described]] = np.inf
        best = np.argpartition(-ranked, near - 1, axis=1)[:, :near]
        if kept > near:
            chance = rng.random(scores.shape, dtype=np.float32)
            np.put_along_axis(chance, best, -1, axis=1)
            best = np.concatenate([best, np.argpartition(-chance, kept - near - 1, axis=1)[:, : kept - near]], axis=1)
        ids[start : start + step] = best
        cosines[start : start + step] = np.take_along_axis(scores, best, axis=1)
    return ids, cosines


def _likelihoods(chosen: tuple[str, ...], ids: np.ndarray, captioner: Captioner, gallery: Contents) -> np.ndarray:
    """float32 [T, n]: log p(text | candidate)."""
    prepared = captioner.prepare(gallery)
    scores = np.empty(ids.shape, np.float32)
    words = np.array([len(text.split()) for text in chosen], np.int64)
    texts_at_once = max(1, compute.at_once(PAIRS_AT_ONCE) // ids.shape[1])
    for part in track(by_length(words, texts_at_once), "teacher's likelihoods"):
        asked = np.repeat(np.arange(len(part)), ids.shape[1])
        pairs = np.stack([asked, ids[part].ravel()], axis=1).astype(np.int64)
        with compute.half_precision():
            found = captioner.likelihood([chosen[row] for row in part], prepared, pairs)
        scores[part] = found.reshape(len(part), -1)
    return scores

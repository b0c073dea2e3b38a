"""Any text is a query if a teacher says which candidates it fits: the teacher's posterior over a gallery.

    dual        softmax of scaled cosines between the text and the candidates nearest to it
    likelihood  softmax of log p(text | candidate) over the same candidates: the posterior under a uniform prior

For retrievers that take `teacher:`. A contestant and its controls share one posterior, made once and booked with
whoever uses it. Provenance: the texts are queries of the *train* split, which describe other items than the gallery's;
of the gallery a teacher perceives the media, and no caption of a test item comes near it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from harness.artifacts import Recipe, Store
from harness.dataset import Contents, texts
from harness.instruments import Captioner, Encoder
from harness.progress import track

Teacher = Literal["none", "dual", "likelihood"]
VERSION = 1  # raise it whenever the same settings give another posterior
NEAREST = 50  # candidates of a text that a teacher judges; all others count as impossible
SCALE = 20.0  # of cosines: what contrastive training of the small encoder ends near
SCORES_AT_ONCE = 1 << 24
PAIRS_AT_ONCE = 512  # small enough for a processor's cache: half the time of 4096


@dataclass(frozen=True)
class Posterior:
    """What a teacher thinks of each of T texts."""

    texts: tuple[str, ...]
    ids: np.ndarray  # int32 [T, n]: positions in the gallery
    odds: np.ndarray  # float32 [T, n]: a row sums to 1

    def __len__(self) -> int:
        return len(self.texts)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Texts drawn evenly (their numbers), each with a candidate drawn from its posterior."""
        if not count:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        chosen = rng.integers(len(self), size=count)
        reached = np.cumsum(self.odds[chosen], axis=1, dtype=np.float64)
        place = (reached < rng.random((count, 1)) * reached[:, -1:]).sum(axis=1)
        return chosen, self.ids[chosen, place].astype(np.int64)


NOTHING = Posterior((), np.empty((0, 1), np.int32), np.empty((0, 1), np.float32))


def share(batch: int, posterior: Posterior) -> int:
    """How many of a batch are a teacher's texts, the rest being captions of the gallery: half (ours, not tuned)."""
    return batch // 2 if len(posterior) else 0


def posterior(
    teacher: Teacher,
    lessons: Contents | None,
    gallery: Contents,
    encoder: Encoder,
    captioner: Captioner,
    count: int,
    store: Store | None = None,
) -> Posterior:
    """What a teacher thinks of `count` of the train split's texts; without a store it is made anew every time."""
    if teacher == "none":
        return NOTHING
    if lessons is None or lessons.modality != "text" or not len(lessons):
        raise ValueError(f"teacher: {teacher} needs the texts of a train split, and there are none; use teacher: none")
    # Which texts: by nobody's seed, so that retrievers share them.
    rows = np.sort(np.random.default_rng(0).permutation(len(lessons))[:count])
    chosen = tuple(lessons[rows])
    if store is None:
        return Posterior(chosen, *_judge(teacher, chosen, gallery, encoder, captioner))
    settings = {"teacher": teacher, "texts": count, "nearest": NEAREST, "scale": SCALE, "version": VERSION}
    parents = {"encoder": encoder.digest, "captioner": captioner.digest if teacher == "likelihood" else None}
    data = {"train": lessons.digest, "gallery": gallery.digest}

    def build(folder: Path) -> None:
        ids, odds = _judge(teacher, chosen, gallery, encoder, captioner)
        np.save(folder / "ids.npy", ids)
        np.save(folder / "odds.npy", odds)

    folder = store.make(Recipe("posterior", teacher, settings | parents | data), build).folder
    ids, odds = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("ids", "odds"))
    return Posterior(chosen, ids, odds)


def _judge(
    teacher: Teacher, chosen: tuple[str, ...], gallery: Contents, encoder: Encoder, captioner: Captioner
) -> tuple[np.ndarray, np.ndarray]:
    ids, cosines = _nearest(encoder.encode(texts(chosen)), encoder.embed(gallery))
    scores = SCALE * cosines if teacher == "dual" else _likelihoods(chosen, ids, captioner, gallery)
    odds = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return ids, (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def _nearest(queries: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions int32 [T, n] and cosines [T, n] of the nearest candidates, in no order."""
    kept = min(NEAREST, len(candidates))
    ids, cosines = np.empty((len(queries), kept), np.int32), np.empty((len(queries), kept), np.float32)
    step = max(1, SCORES_AT_ONCE // len(candidates))
    for start in range(0, len(queries), step):
        scores = queries[start : start + step] @ candidates.T
        best = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
        ids[start : start + step] = best
        cosines[start : start + step] = np.take_along_axis(scores, best, axis=1)
    return ids, cosines


def _likelihoods(chosen: tuple[str, ...], ids: np.ndarray, captioner: Captioner, gallery: Contents) -> np.ndarray:
    """float32 [T, n]: log p(text | candidate). Texts of a length together, so that little is padded."""
    prepared = captioner.prepare(gallery)
    scores = np.empty(ids.shape, np.float32)
    parts = list(_parts(chosen, max(1, PAIRS_AT_ONCE // ids.shape[1])))
    for part in track(parts, "teacher's likelihoods"):
        asked = np.repeat(np.arange(len(part)), ids.shape[1])
        pairs = np.stack([asked, ids[part].ravel()], axis=1).astype(np.int64)
        found = captioner.likelihood([chosen[row] for row in part], prepared, pairs)
        scores[part] = found.reshape(len(part), -1)
    return scores


def _parts(chosen: tuple[str, ...], size: int) -> Iterator[np.ndarray]:
    order = np.argsort([len(text.split()) for text in chosen], kind="stable")
    return (order[start : start + size] for start in range(0, len(order), size))

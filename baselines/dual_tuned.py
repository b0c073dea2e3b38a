"""A control: a dual tower fine-tuned on what CART is trained on. A vector for each candidate and the text side learn
from the same generated captions of the gallery, or are distilled from the same teacher.

Only what CART gains over this one is a gain of the generative paradigm.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from baselines.captioners.text_side import CaptionerText
from baselines.indexes import ExactIndex
from baselines.settings import DUAL_TUNED, DualTunedSettings
from harness.contract.dataset import Contents, Pairs
from harness.contract.instruments import Captioner, Encoder, TextTower
from harness.contract.retriever import Footprint, Ranking, Retriever
from harness.contract.store import Store
from harness.machine import compute
from harness.machine.compute import stage
from harness.machine.progress import track
from harness.nn import batching, choosing, distillation
from harness.nn.distillation import Posterior
from harness.nn.layers import below
from harness.nn.learning import Apart, Learner
from harness.nn.text_side import parameters, text_side

FIRST_SCALE = 3.0  # exp(3) ≈ 20: what contrastive training of the small encoder ends near
VECTORS = 3  # the learning rate of the candidates' vectors, in terms of the text side's
RIDGE = 0.1  # of the mean square of a coordinate

Batch = tuple[Tensor, Callable[[Tensor], Tensor]]  # positions of texts (B), and the loss of their scores (B, N)


class DualTuned(Retriever):
    def __init__(
        self, settings: DualTunedSettings, encoder: Encoder, captioner: Captioner, seed: int, store: Store | None = None
    ) -> None:
        self.encoder, self.captioner, self.store, self.seed = encoder, captioner, store, seed
        self.steps, self.batch, self.lr = settings.steps, settings.batch, settings.lr
        self.temperature = settings.temperature
        self.text, self.teacher, self.teacher_texts = settings.text, settings.teacher, settings.teacher_texts
        self.tries, self.tried = settings.tune, list[dict[str, float]]()
        self.train_texts: Contents | None = None  # for a teacher: they describe other items than the gallery's
        self.neighbours = ExactIndex()
        self._elsewhere: dict[str, DualTuned] = {}
        self.about: Mapping[str, Any] = settings.model_dump(mode="json")

    def fit(self, train: Pairs, validation: Pairs) -> None:
        self.train_texts = train.queries
        if self.tries:
            known = choosing.known(self.about, DUAL_TUNED.version, self.seed, train, self.encoder, self.captioner)
            self._take(choosing.choose(self.tries, validation, self._sibling, self.store, known))

    def _take(self, tried: list[dict[str, float]]) -> None:
        """The best of the settings that were tried."""
        self.tried = tried
        self._set(tried[0])

    def _set(self, values: choosing.Values) -> None:
        self.lr, self.steps = values.get("lr", self.lr), int(values.get("steps", self.steps))
        self.temperature = values.get("temperature", self.temperature)

    def _sibling(self, values: choosing.Values) -> DualTuned:
        """The same with other settings, for another gallery."""
        other = copy.copy(self)
        other._set(values)
        other.neighbours = ExactIndex()
        return other

    def elsewhere(self, gallery: Contents, train_texts: Contents | None) -> DualTuned:
        """The same after learning another gallery."""
        if gallery.digest not in self._elsewhere:
            other = self._sibling({})
            other.train_texts = train_texts
            other.index(gallery)
            self._elsewhere[gallery.digest] = other
        return self._elsewhere[gallery.digest]

    def index(self, gallery: Contents) -> None:
        if not len(gallery):
            raise ValueError("dual_tuned learns from captions of its gallery, and this gallery is empty")
        torch.manual_seed(self.seed)
        device = torch.device(compute.current().device)
        captions = self.captioner.captions(gallery)
        posterior = distillation.posterior(
            self.teacher, self.train_texts, gallery, self.encoder, self.captioner, self.teacher_texts, self.store
        )
        self.tower = self._fresh_tower()
        self.tower.to(device)
        embeddings = np.array(self.encoder.embed(gallery))
        items = nn.Parameter(torch.from_numpy(embeddings).to(device))
        scale = nn.Parameter(torch.tensor(FIRST_SCALE, device=device))
        learner = Learner(
            "dual_tuned",
            [self.tower],
            self.lr,
            self.steps,
            apart=[Apart([items, scale], VECTORS)],
            decay=0.0,
            clip=None,
        )
        encode = self._encoder(list(posterior.texts) or [text for each in captions for text in each], device)
        batches = self._distilled(posterior) if len(posterior) else self._from_captions(captions)
        loss = [0.0]
        for step in track(range(self.steps), "fine-tuning dual tower", note=lambda: f"loss {loss[0]:.2f}"):
            chosen, cost = next(batches)
            with compute.half_precision():
                texts = encode(chosen).float()  # CLIP's come in half precision
            value = cost(scale.exp().clamp(max=100) * texts @ F.normalize(items, dim=-1).T)  # (B, N)
            learner.learn(step, value)
            loss[0] = value.item()
        self.vectors = F.normalize(items.detach(), dim=-1).cpu().numpy()
        self.turn = _turn(embeddings, self.vectors)
        self.scale = scale.detach().exp().clamp(max=100).item()
        self._finish()

    def _encoder(self, texts: list[str], device: torch.device) -> Callable[[Tensor], Tensor]:
        """A function from positions of these texts to their vectors."""
        rows = self.tower.tokens(texts)
        ready = self.tower.precomputed(rows, device) if isinstance(self.tower, CaptionerText) else None
        if ready is None:
            return lambda chosen: batching.encode(lambda tokens: self.tower.layered(tokens)[1], rows[chosen], device)
        words = batching.lengths(rows)
        return lambda chosen: batching.in_order(lambda part: ready(chosen[part]), batching.by_length(words[chosen]))

    def _from_captions(self, captions: list[list[str]]) -> Iterator[Batch]:
        """Cross-entropy over the whole gallery: each caption is its own candidate's."""
        owner = torch.arange(len(captions)).repeat_interleave(torch.tensor(list(map(len, captions))))
        rng = np.random.default_rng(self.seed)
        while True:
            chosen = torch.from_numpy(rng.integers(len(owner), size=self.batch))
            right = owner[chosen].to(compute.current().device)
            yield chosen, partial(F.cross_entropy, target=right)

    def _distilled(self, posterior: Posterior) -> Iterator[Batch]:
        """Divergence from the teacher over the candidates that it scored."""
        rng, device = np.random.default_rng(self.seed), compute.current().device
        while True:
            chosen = posterior.draw(rng, self.batch)
            ids = torch.from_numpy(posterior.ids[chosen]).long().to(device)  # (B, n)
            odds = torch.from_numpy(posterior.odds[chosen]).to(device).clamp(min=1e-30)
            goal = (odds.log() / self.temperature).log_softmax(1)
            yield torch.from_numpy(chosen), partial(divergence, ids=ids, goal=goal, temperature=self.temperature)

    def _finish(self) -> None:
        self._trained = self.tower.state_dict()
        self.searching: Any = compute.ready(copy.deepcopy(self.tower), self.encoder.precision)
        self.neighbours.build(self.vectors)

    def add(self, contents: Contents) -> None:
        """Later candidates are placed among those that it has learnt; nothing is trained."""
        if len(contents):
            grown = self.with_added(contents)
            self.vectors, self.neighbours = grown.vectors, grown.neighbours

    def with_added(self, contents: Contents) -> DualTuned:
        """The same with later candidates placed beside its own."""
        other = copy.copy(self)
        other.vectors, other.neighbours = np.concatenate([self.vectors, self.place(contents)]), ExactIndex()
        other.neighbours.build(other.vectors)
        return other

    def search(self, queries: Contents, k: int) -> Ranking:
        with stage("encode"):
            asked = self.encode(list(queries))
        with stage("search"):
            return self.neighbours.search(asked, k)

    def score(self, queries: Contents, pairs: np.ndarray) -> np.ndarray:
        """Of single pairs, to decide among what another proposes."""
        with stage("encode"):
            asked = self.encode(list(queries))
        with stage("search"):
            return self.neighbours.pairs(asked, pairs)

    def encode(self, texts: list[str]) -> np.ndarray:
        with compute.amp(self.encoder.precision):
            return batching.vectors(self.searching, texts, compute.current().device).numpy()

    def score_texts(self, texts: Contents, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k likeliest candidates of each text, and their log-probabilities up to a constant."""
        return self.score_vectors(self.encode(list(texts)), k)

    def score_vectors(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The same for texts that are vectors already."""
        found = self.neighbours.search(vectors, k)
        return found.ids.astype(np.int32), self.scale * found.scores

    def place(self, contents: Contents) -> np.ndarray:
        """float32 [n, dim]: vectors of later candidates, by a linear map from the encoder's space to the learnt one."""
        return F.normalize(torch.from_numpy(self.encoder.embed(contents) @ self.turn), dim=-1).numpy()

    def text_tower(self) -> TextTower:
        """A copy of the fine-tuned text side, to start from."""
        tower = self._fresh_tower()
        tower.load_state_dict(self._trained)
        return tower

    def _fresh_tower(self) -> Any:
        """To be trained; without a step of training it stays the encoder's own."""
        if self.text == "captioner" and self.steps:
            return self.captioner.text_tower(self.encoder.dim)
        return text_side(self.encoder, learns=True)

    def save(self, folder: Path) -> None:
        tensors = {f"tower.{name}": tensor.cpu().contiguous() for name, tensor in self._trained.items()}
        learnt = {"vectors": torch.from_numpy(self.vectors), "turn": torch.from_numpy(self.turn)}
        learnt["scale"] = torch.tensor(self.scale)
        save_file(tensors | learnt, folder / "tuned.safetensors")
        if self.tried:
            (folder / "tried.json").write_text(json.dumps(self.tried))

    def load(self, folder: Path) -> None:
        tensors = load_file(folder / "tuned.safetensors")
        self.vectors, self.turn = tensors.pop("vectors").numpy(), tensors.pop("turn").numpy()
        self.scale = float(tensors.pop("scale"))
        if self.tries:
            self._take(json.loads((folder / "tried.json").read_text()))
        self.tower = self._fresh_tower()
        self.tower.load_state_dict(below(tensors, "tower"))
        self._finish()

    def details(self) -> Mapping[str, Any]:
        return {"tried": self.tried} if self.tried else {}

    def footprint(self) -> Footprint:
        return Footprint(self.neighbours.vectors.nbytes, parameters(self.tower))

    def counts(self) -> Mapping[str, int]:
        return self.neighbours.counts()

    def reset_counts(self) -> None:
        self.neighbours.reset_counts()


def divergence(scores: Tensor, ids: Tensor, goal: Tensor, temperature: float) -> Tensor:
    """KL(goal ‖ scores) among the candidates `ids` (B, n) of each row of scores (B, N); goal (B, n) in logarithms. Both
    are softened, so that less likely candidates count too.
    """
    student = (scores.gather(1, ids) / temperature).log_softmax(1)
    return F.kl_div(student, goal, log_target=True, reduction="batchmean")


def _turn(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The linear map [dim, dim] from the vectors before training to those after, by ridge regression."""
    ridge = RIDGE * len(before) / before.shape[1] * np.eye(before.shape[1], dtype=np.float32)
    return np.linalg.solve(before.T @ before + ridge, before.T @ after).astype(np.float32)

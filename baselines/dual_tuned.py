"""A control: a dual tower that is given what CART is given. A vector of its own for each candidate, and the text side,
are trained on the same generated captions of the gallery, or to order candidates as the same teacher does.

A gain over the plain dual tower is the generative paradigm's only if it is a gain over this one too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from baselines.captioners.listener import Listener
from baselines.indexes import ExactIndex
from baselines.settings import DualTunedSettings
from harness.contract.dataset import Contents, Pairs
from harness.contract.instruments import Captioner, Encoder, TextTower
from harness.contract.retriever import Footprint, Ranking, Retriever, Unsupported
from harness.contract.store import Store
from harness.machine import compute
from harness.machine.compute import stage
from harness.machine.progress import track
from harness.nn import teaching
from harness.nn.layers import by_length, in_parts, vectors
from harness.nn.learning import Apart, Learner
from harness.nn.teaching import Posterior
from harness.nn.text_side import parameters, text_side

FIRST_SCALE = 3.0  # exp(3) ≈ 20: what contrastive training of the small encoder ends near
VECTORS = 3  # how much faster than the text side the candidates' vectors move
SOFT = 3.0  # a teacher's scores are divided by this, as are the pupil's: the less likely candidates teach too
RIDGE = 0.1  # of the mean square of a coordinate

Batch = tuple[Tensor, Callable[[Tensor], Tensor]]  # numbers of texts (B), and what scores (B, N) of them cost


class DualTuned(Retriever):
    def __init__(
        self, settings: DualTunedSettings, encoder: Encoder, captioner: Captioner, seed: int, store: Store | None = None
    ) -> None:
        self.encoder, self.captioner, self.store, self.seed = encoder, captioner, store, seed
        self.steps, self.batch, self.lr = settings.steps, settings.batch, settings.lr
        self.text, self.teacher, self.teacher_texts = settings.text, settings.teacher, settings.teacher_texts
        self.lessons: Contents | None = None
        self.neighbours = ExactIndex()

    def fit(self, train: Pairs, validation: Pairs) -> None:
        self.lessons = train.queries  # texts of other items than the gallery's, for a teacher

    def index(self, gallery: Contents) -> None:
        if not len(gallery):
            raise ValueError("dual_tuned learns from captions of its gallery, and this gallery is empty")
        torch.manual_seed(self.seed)
        device = torch.device(compute.current().device)
        captions = self.captioner.captions(gallery)
        taught = teaching.posterior(
            self.teacher, self.lessons, gallery, self.encoder, self.captioner, self.teacher_texts, self.store
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
        told = [text for each in captions for text in each]
        hear = self._ear(list(taught.texts) or told, device)
        batches = self._taught(taught) if len(taught) else self._told(captions)
        loss = [0.0]
        for step in track(range(self.steps), "tuning dual tower", note=lambda: f"loss {loss[0]:.2f}"):
            chosen, cost = next(batches)
            with compute.half_precision():
                heard = hear(chosen)
            value = cost(scale.exp().clamp(max=100) * heard @ F.normalize(items, dim=-1).T)  # (B, N)
            learner.learn(step, value)
            loss[0] = value.item()
        self.vectors = F.normalize(items.detach(), dim=-1).cpu().numpy()
        self.turn = _turn(embeddings, self.vectors)
        self.scale = scale.detach().exp().clamp(max=100).item()
        self._finish()

    def _ear(self, texts: list[str], device: torch.device) -> Callable[[Tensor], Tensor]:
        """Numbers of these texts → their vectors."""
        rows = self.tower.tokens(texts)
        ahead = self.tower.ahead(rows, device) if isinstance(self.tower, Listener) else None
        if ahead is None:
            return lambda chosen: in_parts(lambda tokens: self.tower.layered(tokens)[1], rows[chosen], device)
        return lambda chosen: by_length(lambda part: ahead(chosen[part]), rows[chosen])

    def _told(self, captions: list[list[str]]) -> Iterator[Batch]:
        """Cross-entropy over the whole gallery: each caption is its own candidate's."""
        owner = torch.arange(len(captions)).repeat_interleave(torch.tensor(list(map(len, captions))))
        rng = np.random.default_rng(self.seed)
        while True:
            chosen = torch.from_numpy(rng.integers(len(owner), size=self.batch))
            right = owner[chosen].to(compute.current().device)
            yield chosen, partial(F.cross_entropy, target=right)

    def _taught(self, taught: Posterior) -> Iterator[Batch]:
        """Divergence from the teacher over the candidates that it judged."""
        rng, device = np.random.default_rng(self.seed), compute.current().device
        while True:
            heard = taught.draw(rng, self.batch)
            ids = torch.from_numpy(taught.ids[heard]).long().to(device)  # (B, n)
            odds = torch.from_numpy(taught.odds[heard]).to(device).clamp(min=1e-30)
            yield torch.from_numpy(heard), partial(divergence, ids=ids, goal=(odds.log() / SOFT).log_softmax(1))

    def _finish(self) -> None:
        self._trained = self.tower.state_dict()
        self.searching: Any = compute.ready(copy.deepcopy(self.tower))
        self.neighbours.build(self.vectors)

    def add(self, contents: Contents) -> None:
        raise Unsupported("dual_tuned has learnt a vector for each candidate: index the whole gallery again")

    def search(self, queries: Contents, k: int) -> Ranking:
        with stage("encode"):
            asked = self._encode(list(queries))
        with stage("search"):
            return self.neighbours.search(asked, k)

    def _encode(self, texts: list[str]) -> np.ndarray:
        return vectors(self.searching, texts, compute.current().device).numpy()

    def thinks(self, texts: Contents, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Its k likeliest candidates of each text, and their log-probabilities up to a constant."""
        return self.judge(self._encode(list(texts)), k)

    def judge(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The same of texts that are vectors already."""
        found = self.neighbours.search(vectors, k)
        return found.ids.astype(np.int32), self.scale * found.scores

    def place(self, contents: Contents) -> np.ndarray:
        """float32 [n, dim]: where later candidates would stand among those that it has learnt, as near as a linear map
        from the encoder's space can tell."""
        return F.normalize(torch.from_numpy(self.encoder.embed(contents) @ self.turn), dim=-1).numpy()

    def text_tower(self) -> TextTower:
        """A copy of the tuned text side, for who starts from it."""
        tower = self._fresh_tower()
        tower.load_state_dict(self._trained)
        return tower

    def _fresh_tower(self) -> Any:
        if self.text == "captioner":
            return self.captioner.text_tower(self.encoder.dim)
        return text_side(self.encoder, learns=True)

    def save(self, folder: Path) -> None:
        tensors = {f"tower.{name}": tensor.cpu().contiguous() for name, tensor in self._trained.items()}
        learnt = {"vectors": torch.from_numpy(self.vectors), "turn": torch.from_numpy(self.turn)}
        learnt["scale"] = torch.tensor(self.scale)
        save_file(tensors | learnt, folder / "tuned.safetensors")

    def load(self, folder: Path) -> None:
        tensors = load_file(folder / "tuned.safetensors")
        self.vectors, self.turn = tensors.pop("vectors").numpy(), tensors.pop("turn").numpy()
        self.scale = float(tensors.pop("scale"))
        self.tower = self._fresh_tower()
        self.tower.load_state_dict({name.removeprefix("tower."): tensor for name, tensor in tensors.items()})
        self._finish()

    def footprint(self) -> Footprint:
        return Footprint(self.neighbours.vectors.nbytes, parameters(self.tower))


def divergence(scores: Tensor, ids: Tensor, goal: Tensor) -> Tensor:
    """KL(goal ‖ scores) among the candidates `ids` (B, n) of each row of scores (B, N); goal (B, n) in logarithms."""
    judged = (scores.gather(1, ids) / SOFT).log_softmax(1)
    return F.kl_div(judged, goal, log_target=True, reduction="batchmean")


def _turn(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The linear map [dim, dim] that takes vectors to where they were moved, by least squares with a little ridge."""
    ridge = RIDGE * len(before) / before.shape[1] * np.eye(before.shape[1], dtype=np.float32)
    return np.linalg.solve(before.T @ before + ridge, before.T @ after).astype(np.float32)

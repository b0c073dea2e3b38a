"""A control: a dual tower that is given what CART is given. A vector of its own for each candidate, and the text tower,
are trained on the same generated captions of the gallery, and from the same teacher if it has one.

A gain over the plain dual tower is the generative paradigm's only if it is a gain over this one too.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from baselines.indexes import ExactIndex
from harness import compute, teaching
from harness.artifacts import Store
from harness.compute import stage
from harness.dataset import Contents, Pairs
from harness.instruments import Captioner, TextTower, TokenEncoder
from harness.layers import in_parts, parameter_count, trim
from harness.progress import track
from harness.retriever import Footprint, Ranking, Retriever, Unsupported
from harness.teaching import Posterior, Teacher

FIRST_SCALE = 3.0  # exp(3) ≈ 20: what contrastive training of the small encoder ends near
TEXTS_AT_ONCE = 512


class DualTuned(Retriever):
    def __init__(
        self,
        encoder: TokenEncoder,
        captioner: Captioner,
        steps: int,
        batch: int,
        lr: float,
        teacher: Teacher = "none",
        teacher_texts: int = 4000,
        store: Store | None = None,
        seed: int = 0,
    ) -> None:
        self.encoder, self.captioner = encoder, captioner
        self.steps, self.batch, self.lr, self.seed = steps, batch, lr, seed
        self.teacher, self.teacher_texts, self.store = teacher, teacher_texts, store
        self.lessons: Contents | None = None
        self.neighbours = ExactIndex()

    def fit(self, train: Pairs, validation: Pairs) -> None:
        self.lessons = train.queries  # texts of other items than the gallery's, for a teacher

    def index(self, gallery: Contents) -> None:
        if not len(gallery):
            raise ValueError("dual_tuned learns from captions of its gallery, and this gallery is empty")
        torch.manual_seed(self.seed)
        device = compute.current().device
        captions = self.captioner.captions(gallery)
        taught = teaching.posterior(
            self.teacher, self.lessons, gallery, self.encoder, self.captioner, self.teacher_texts, self.store
        )
        self.tower = self._fresh_tower()
        self.tower.to(device)
        items = nn.Parameter(torch.from_numpy(np.array(self.encoder.embed(gallery))).to(device))
        rows = self.tower.tokens([*(text for each in captions for text in each), *taught.texts])
        self._learn(items, rows, list(map(len, captions)), taught)
        self.vectors = F.normalize(items.detach(), dim=-1).cpu().numpy()
        self._finish()

    def _learn(self, items: nn.Parameter, rows: Tensor, counts: list[int], taught: Posterior) -> None:
        """Cross-entropy over the whole gallery. The text tower knows much already and moves slower than the vectors.

        `rows`: the captions of each candidate in turn, then a teacher's texts, whose targets are its posteriors.
        """
        owner = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        told = teaching.share(self.batch, taught)
        scale = nn.Parameter(torch.tensor(FIRST_SCALE, device=items.device))
        optimizer = torch.optim.AdamW(
            [{"params": [items, scale], "lr": self.lr}, {"params": self.tower.parameters(), "lr": self.lr / 3}],
            weight_decay=0.0,
            betas=(0.9, 0.98),
        )
        rates = [group["lr"] for group in optimizer.param_groups]
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=self.steps + 1, pct_start=0.1)
        rng = np.random.default_rng(self.seed)
        loss = [0.0]
        for _ in track(range(self.steps), "tuning dual tower", note=lambda: f"loss {loss[0]:.2f}"):
            chosen = torch.from_numpy(rng.integers(len(owner), size=self.batch - told))
            heard = rng.integers(max(1, len(taught)), size=told)
            ids = torch.from_numpy(taught.ids[heard]).long().to(items.device)  # (told, n)
            odds = torch.from_numpy(taught.odds[heard]).to(items.device)
            batch = torch.cat([chosen, len(owner) + torch.from_numpy(heard)])
            with compute.half_precision():
                vectors = in_parts(lambda tokens: self.tower.layered(tokens)[1], rows[batch], items.device)
            logits = scale.exp().clamp(max=100) * vectors @ F.normalize(items, dim=-1).T  # (B, N)
            likely, right = logits.log_softmax(1), owner[chosen, None].to(items.device)
            value = -(
                likely[: len(chosen)].gather(1, right).sum() + (likely[len(chosen) :].gather(1, ids) * odds).sum()
            )
            value = value / self.batch
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            schedule.step()
            loss[0] = value.item()

    def _finish(self) -> None:
        self._trained = self.tower.state_dict()
        self.searching: Any = compute.ready(copy.deepcopy(self.tower))
        self.neighbours.build(self.vectors)

    def add(self, contents: Contents) -> None:
        raise Unsupported("dual_tuned has learnt a vector for each candidate: index the whole gallery again")

    def search(self, queries: Contents, k: int) -> Ranking:
        with stage("encode"):
            vectors = self._encode(list(queries))
        with stage("search"):
            return self.neighbours.search(vectors, k)

    @torch.inference_mode()
    def _encode(self, texts: list[str]) -> np.ndarray:
        """Texts of a length together, so that little is padded."""
        rows = self.searching.tokens(texts)
        order = (rows != 0).sum(1).argsort()
        out = np.empty((len(texts), self.vectors.shape[1]), np.float32)
        for chosen in order.split(TEXTS_AT_ONCE):
            _, vectors = self.searching.layered(trim(rows[chosen]).to(compute.current().device))
            out[chosen.numpy()] = vectors.cpu().numpy()
        return out

    def text_tower(self) -> TextTower:
        """A copy of the tuned text side, for who starts from it."""
        tower = self._fresh_tower()
        tower.load_state_dict(self._trained)
        return tower

    def _fresh_tower(self) -> Any:
        return self.encoder.text_tower()

    def save(self, folder: Path) -> None:
        tensors = {f"tower.{name}": tensor.cpu().contiguous() for name, tensor in self._trained.items()}
        save_file({**tensors, "vectors": torch.from_numpy(self.vectors)}, folder / "tuned.safetensors")

    def load(self, folder: Path) -> None:
        tensors = load_file(folder / "tuned.safetensors")
        self.vectors = tensors.pop("vectors").numpy()
        self.tower = self._fresh_tower()
        self.tower.load_state_dict({name.removeprefix("tower."): tensor for name, tensor in tensors.items()})
        self._finish()

    def footprint(self) -> Footprint:
        return Footprint(self.neighbours.bytes(), parameter_count(self.tower))

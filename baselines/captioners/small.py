"""The `small` captioner: describes what a small encoder perceives, word by word; trained on the train split.

It starts from the encoder's media tower and goes on training it: what matters for telling items apart is not all that
matters for describing them. It also says how likely a text is, given a medium.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from baselines.encoders import features
from baselines.encoders.features import Shape
from baselines.encoders.small import SmallEncoder
from baselines.encoders.towers import MediaTower
from baselines.encoders.words import PAD, START, UNKNOWN, Vocabulary, pad
from harness import compute
from harness.dataset import Contents, Links, Pairs
from harness.instruments import Captioner
from harness.layers import Attention, parameter_count
from harness.progress import track

KeysValues = tuple[Tensor, Tensor]
END = PAD  # what follows the last word
ITEMS_AT_ONCE, TEXTS_AT_ONCE = 128, 4096


class Layer(nn.Module):
    """Looks back at the words so far, then at the medium."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.back = Attention(dim, heads)
        self.across = Attention(dim, heads)
        self.feed = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def recall(self, x: Tensor) -> KeysValues:
        """What later words see of these: (B, L, d) → (B, h, L, d/h) each."""
        return self.back.remember(self.norms[0](x))

    def forward(self, x: Tensor, past: KeysValues, mask: Tensor | None, seen: KeysValues) -> Tensor:
        """x: new states (B, L, d); past: of all words so far, x's too; seen: of the media, (B or B/c, h, P, d/h)."""
        x = x + self.back.look(self.norms[0](x), past, mask)
        asked = self.norms[1](x)
        folded = asked.reshape(len(seen[0]), -1, asked.shape[-1])  # captions of one item share its keys and values
        x = x + self.across.look(folded, seen).reshape(x.shape)
        return x + self.feed(self.norms[2](x))


class Teller(nn.Module):
    """A causal decoder over words."""

    def __init__(self, vocabulary: int, longest: int, width: int, layers: int = 2) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.heads = width // 48
        self.places = nn.Parameter(torch.randn(longest + 1, width) * 0.02)
        self.layers = nn.ModuleList(Layer(width, self.heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, vocabulary)
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, tokens: Tensor, media: Tensor) -> Tensor:  # (B, L), (B/c, P, d) → logits of the next (B, L, V)
        x = self.words(tokens) + self.places[: tokens.shape[1]]
        causal = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=tokens.device).tril()
        for layer, seen in zip(self._layers(), self.see(media), strict=True):
            x = layer(x, layer.recall(x), causal, seen)
        return self.out(self.norm(x))

    def see(self, media: Tensor) -> list[KeysValues]:
        """Keys and values of media (B, P, d) for every layer."""
        return [layer.across.remember(media) for layer in self._layers()]

    def _layers(self) -> list[Layer]:
        return cast(list[Layer], list(self.layers))

    def step(self, token: Tensor, place: int, pasts: list[KeysValues], seen: list[KeysValues]) -> Tensor:
        """Logits (B, V) after one more word; `pasts` has room for keys and values of `longest` words in each layer."""
        x = (self.words(token) + self.places[place])[:, None]
        for layer, past, media in zip(self._layers(), pasts, seen, strict=True):
            for room, new in zip(past, layer.recall(x), strict=True):
                room[:, :, place] = new[:, :, 0]
            keys, values = (room[:, :, : place + 1] for room in past)
            x = layer(x, (keys, values), None, media)
        return self.out(self.norm(x))[:, 0]


class SmallCaptioner(Captioner):
    def __init__(
        self,
        encoder: SmallEncoder,
        steps: int,
        items: int,
        texts: int,
        lr: float,
        samples: int,
        temperature: float,
        seed: int = 0,
    ) -> None:
        self.encoder, self.steps, self.items, self.texts, self.lr = encoder, steps, items, texts, lr
        self.samples, self.temperature, self.seed = samples, temperature, seed

    # -- training ---------------------------------------------------------------------------------------------------

    def fit(self, train: Pairs, validation: Pairs) -> None:
        torch.manual_seed(self.seed)
        self.vocabulary, self.shape = self.encoder.vocabulary, self.encoder.shape
        self.media = self.encoder.trainable_media()
        self.teller = Teller(len(self.vocabulary), self.vocabulary.longest, self.media.width)
        device = compute.current().device
        self.media.to(device)
        self.teller.to(device)
        rows = pad([self.vocabulary.tokens(text) for text in train.queries])
        planes = features.planes(train.candidates, self.shape)
        self._learn(rows, planes, Links.grouped(train.links.targets, len(train.candidates)))
        self._finish()

    def _learn(self, rows: Tensor, planes: Tensor, captions: Links) -> None:
        rng = np.random.default_rng(self.seed)
        parameters = [*self.media.parameters(), *self.teller.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=self.lr, weight_decay=0.01, betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=self.steps + 1, pct_start=0.1)
        described = np.flatnonzero(captions.counts)
        device, loss = compute.current().device, [0.0]
        for _ in track(range(self.steps), "training captioner", note=lambda: f"loss {loss[0]:.3f}"):
            items = rng.choice(described, min(self.items, len(described)), replace=False)
            picks = captions.starts[items, None] + (
                rng.random((len(items), self.texts)) * captions.counts[items, None]
            ).astype(np.int64)
            tokens = rows[captions.targets[picks].ravel()].to(device)
            tokens = tokens[:, : int((tokens != PAD).sum(1).max()) + 1]  # one END stands behind the longest
            with compute.half_precision():
                logits = self.teller(tokens, self.media.states(planes[items].to(device, torch.float32)))
            value = nll(logits.float(), tokens).sum() / (tokens != PAD).sum()
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            loss[0] = value.item()

    def _finish(self) -> None:
        self.parameters = parameter_count(self.media) + parameter_count(self.teller)
        self._trained = {f"media.{name}": tensor for name, tensor in self.media.state_dict().items()}
        self._trained |= {f"teller.{name}": tensor for name, tensor in self.teller.state_dict().items()}
        self.media, self.teller = copy.deepcopy(self.media), copy.deepcopy(self.teller)
        compute.ready(self.media)
        compute.ready(self.teller)

    # -- use --------------------------------------------------------------------------------------------------------

    def prepare(self, contents: Contents) -> Tensor:
        """What it perceives of media: (n, P, d)."""
        return torch.cat([torch.empty(0, *self.media.places.shape), *self._perceived(contents)])

    def _perceived(self, contents: Contents) -> Iterator[Tensor]:
        with torch.inference_mode():
            for start in range(0, len(contents), ITEMS_AT_ONCE):
                planes = features.planes(contents[start : start + ITEMS_AT_ONCE], self.shape)
                yield self.media.states(planes.to(compute.current().device, torch.float32))

    def describe(self, contents: Contents) -> list[list[str]]:
        samples, generator = self.samples, torch.Generator().manual_seed(self.seed)
        words = np.array(["", "", "", *self.vocabulary.words], dtype=object)
        described: list[list[str]] = []
        for media in track(self._perceived(contents), "captions", -(-len(contents) // ITEMS_AT_ONCE)):
            for part in media.split(max(1, TEXTS_AT_ONCE // samples)):
                tokens = self._sample(part, samples, generator).numpy()
                texts = [" ".join(filter(None, row)) for row in words[tokens]]
                described += [texts[start : start + samples] for start in range(0, len(texts), samples)]
        return described

    @torch.inference_mode()
    def _sample(self, media: Tensor, samples: int, generator: torch.Generator) -> Tensor:
        """int64 [items · samples, longest]: words, then END for good."""
        count, longest = len(media) * samples, self.vocabulary.longest
        seen = self.teller.see(media)
        room = (count, self.teller.heads, longest, media.shape[-1] // self.teller.heads)
        pasts = [(media.new_zeros(room), media.new_zeros(room)) for _ in seen]
        rows, token = torch.arange(count), torch.full((count,), START, device=media.device)
        out = torch.full((count, longest), END)
        for place in range(longest):
            logits = self.teller.step(token, place, pasts, seen)
            logits[:, START : UNKNOWN + 1] = -torch.inf  # neither START nor UNKNOWN is a word
            odds = (logits / self.temperature).softmax(-1).cpu()
            drawn = torch.multinomial(odds, 1, generator=generator)[:, 0]
            if place:
                drawn = torch.where(out[rows, place - 1] == END, END, drawn)
            out[rows, place] = drawn
            going = drawn.nonzero()[:, 0]
            if not len(going):
                break
            if 2 * len(going) <= len(rows):  # most have come to their end: only the others go on
                kept, owner = going.to(media.device), going.to(media.device)
                if len(seen[0][0]) < len(rows):
                    owner = kept // samples
                pasts = [(keys[kept], values[kept]) for keys, values in pasts]
                seen = [(keys[owner], values[owner]) for keys, values in seen]
                rows, drawn = rows[going], drawn[going]
            token = drawn.to(media.device)
        return out

    @torch.inference_mode()
    def likelihood(self, texts: Sequence[str], prepared: Tensor, pairs: np.ndarray) -> np.ndarray:
        tokens = F.pad(self.vocabulary.batch(texts), (0, 1), value=END)
        parts = []
        for start in range(0, len(pairs), TEXTS_AT_ONCE):
            asked, given = torch.from_numpy(pairs[start : start + TEXTS_AT_ONCE]).T
            batch = tokens[asked].to(prepared.device)
            batch = batch[:, : int((batch != PAD).sum(1).max()) + 1]
            parts.append(-nll(self.teller(batch, prepared[given.to(prepared.device)]), batch).sum(1).cpu())
        return torch.cat(parts).numpy() if parts else np.empty(0, np.float32)

    # -- keeping ----------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        tensors = {name: tensor.cpu().contiguous() for name, tensor in self._trained.items()}
        save_file(tensors, folder / "captioner.safetensors")
        config = {"vocabulary": self.vocabulary.words, "longest": self.vocabulary.longest, "shape": asdict(self.shape)}
        (folder / "captioner.json").write_text(json.dumps(config))

    def load(self, folder: Path) -> None:
        config = json.loads((folder / "captioner.json").read_text())
        self.vocabulary = Vocabulary(tuple(config["vocabulary"]), config["longest"])
        self.shape = Shape(**config["shape"])
        weights = load_file(folder / "captioner.safetensors")
        self.media = MediaTower(self.shape, self.encoder.dim)
        self.media.load_state_dict({k.removeprefix("media."): v for k, v in weights.items() if k.startswith("media.")})
        self.teller = Teller(len(self.vocabulary), self.vocabulary.longest, self.media.width)
        self.teller.load_state_dict(
            {k.removeprefix("teller."): v for k, v in weights.items() if k.startswith("teller.")}
        )
        self._finish()


def nll(logits: Tensor, tokens: Tensor) -> Tensor:
    """What each next word costs, END once, 0 behind it: (B, L, V), (B, L) → (B, L - 1)."""
    following = tokens[:, 1:]
    costs = F.cross_entropy(logits[:, :-1].transpose(1, 2), following, reduction="none")
    return costs * (tokens[:, :-1] != END)

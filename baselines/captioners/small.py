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

from baselines.captioners.listener import Listener, read
from baselines.captioners.settings import SmallCaptionerSettings
from baselines.encoders import features
from baselines.encoders.features import Shape
from baselines.encoders.positives import captions_of
from baselines.encoders.small import SmallEncoder
from baselines.encoders.towers import MediaTower
from baselines.encoders.words import PAD, START, UNKNOWN, Vocabulary, pad
from harness.contract.dataset import Contents, Links, Pairs
from harness.contract.instruments import Captioner
from harness.machine import compute
from harness.machine.progress import track
from harness.nn.layers import Attention, Block, parameter_count
from harness.nn.learning import Learner

KeysValues = tuple[Tensor, Tensor]
END = PAD  # what follows the last word
ITEMS_AT_ONCE, TEXTS_AT_ONCE, PAIRS_AT_ONCE = 128, 4096, 256


class Teller(nn.Module):
    """Reads the words so far as a causal transformer does, then looks at the medium once, then says the next word.

    What reads words alone is done once a text, however many media the text is held against: all that a pair costs is
    the look. Layers that read and look by turns learn no better, and score a pair at several times the price.
    """

    def __init__(self, vocabulary: int, longest: int, width: int, layers: int = 2) -> None:
        super().__init__()
        self.heads = width // 48
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(torch.randn(longest + 1, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, self.heads) for _ in range(layers))
        self.asking = nn.LayerNorm(width)
        self.across = Attention(width, self.heads)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, vocabulary)
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Logits (B, L, V) of each next word; tokens (B, L), `seen` (B/c, P, 2d): c texts in turn share a medium."""
        return self.tell(self.read(tokens)[-1], seen)

    def see(self, media: Tensor) -> Tensor:
        """All that is ever asked of media (B, P, d): their keys and values, (B, P, 2d)."""
        return self.across.keyvalue(media)

    def read(self, tokens: Tensor) -> list[Tensor]:  # (B, L) → (B, L, d) after each layer
        return read(tokens, self.words, self.places, self.blocks)

    def tell(self, x: Tensor, seen: Tensor) -> Tensor:
        asked = self.asking(x)
        folded = asked.reshape(len(seen), -1, asked.shape[-1])
        x = x + self.across.look(folded, self.across.parted(seen)).reshape(x.shape)
        return self.out(self.norm(x + self.feed(self.feed_norm(x))))

    def held_against(self, states: Tensor, texts: Tensor, seen: Tensor) -> Tensor:
        """Logits (pairs, L, V) for states (T, L, d) of texts, the text of each pair, and what is seen in each pair."""
        asked = self.across.ask(self.asking(states))[texts]
        x = states[texts] + self.across.find(asked, self.across.parted(seen))
        return self.out(self.norm(x + self.feed(self.feed_norm(x))))

    def step(self, token: Tensor, place: int, pasts: list[KeysValues], seen: Tensor) -> Tensor:
        """Logits (B, V) after one more word; `pasts` has room for keys and values of `longest` words in each layer."""
        x = (self.words(token) + self.places[place])[:, None]
        for block, past in zip(cast(list[Block], list(self.blocks)), pasts, strict=True):
            y = block.norm(x)
            for room, new in zip(past, block.attention.remember(y), strict=True):
                room[:, :, place] = new[:, :, 0]
            keys, values = (room[:, :, : place + 1] for room in past)
            x = x + block.attention.look(y, (keys, values))
            x = x + block.feed(block.feed_norm(x))
        return self.tell(x, seen)[:, 0]


class SmallCaptioner(Captioner):
    def __init__(self, settings: SmallCaptionerSettings, encoder: SmallEncoder, seed: int) -> None:
        self.encoder, self.seed = encoder, seed
        self.steps, self.items, self.texts, self.lr = settings.steps, settings.items, settings.texts, settings.lr
        self.samples, self.temperature = settings.samples, settings.temperature

    # -- training ---------------------------------------------------------------------------------------------------

    def fit(self, train: Pairs, validation: Pairs) -> None:
        torch.manual_seed(self.seed)
        self.vocabulary, self.shape = self.encoder.vocabulary, self.encoder.shape
        self.media = self.encoder.trainable_media()
        self.teller = self._fresh_teller()
        device = compute.current().device
        self.media.to(device)
        self.teller.to(device)
        rows = pad([self.vocabulary.tokens(text) for text in train.queries])
        planes = features.planes(train.candidates, self.shape)
        self._learn(rows, planes, captions_of(train))
        self._finish()

    def _learn(self, rows: Tensor, planes: Tensor, captions: Links) -> None:
        rng = np.random.default_rng(self.seed)
        modules = [self.media, self.teller]
        learner = Learner("the small captioner", modules, self.lr, self.steps, heads=[self.teller.out])
        described = np.flatnonzero(captions.counts)
        device, loss = compute.current().device, [0.0]
        for step in track(range(self.steps), "training captioner", note=lambda: f"loss {loss[0]:.3f}"):
            items = rng.choice(described, min(self.items, len(described)), replace=False)
            picks = captions.starts[items, None] + (
                rng.random((len(items), self.texts)) * captions.counts[items, None]
            ).astype(np.int64)
            tokens = rows[captions.targets[picks].ravel()].to(device)
            tokens = tokens[:, : int((tokens != PAD).sum(1).max()) + 1]  # one END stands behind the longest
            with compute.half_precision():
                logits = self.teller(
                    tokens, self.teller.see(self.media.states(planes[items].to(device, torch.float32)))
                )
            value = nll(logits.float(), tokens).sum() / (tokens != PAD).sum()
            learner.learn(step, value)
            loss[0] = value.item()

    def _fresh_teller(self) -> Teller:
        return Teller(len(self.vocabulary), self.vocabulary.longest, self.media.width)

    def _finish(self) -> None:
        self.parameters = parameter_count(self.media) + parameter_count(self.teller)
        self._trained = {f"media.{name}": tensor for name, tensor in self.media.state_dict().items()}
        self._trained |= {f"teller.{name}": tensor for name, tensor in self.teller.state_dict().items()}
        self.media, self.teller = copy.deepcopy(self.media), copy.deepcopy(self.teller)
        compute.ready(self.media)
        compute.ready(self.teller)

    # -- use --------------------------------------------------------------------------------------------------------

    def prepare(self, contents: Contents) -> Tensor:
        """What its one look asks of media: (n, P, 2d)."""
        places, width = self.media.places.shape
        return torch.cat(
            [torch.empty(0, places, 2 * width, device=compute.current().device), *self._perceived(contents)]
        )

    def _perceived(self, contents: Contents) -> Iterator[Tensor]:
        with torch.inference_mode():
            for start in range(0, len(contents), ITEMS_AT_ONCE):
                planes = features.planes(contents[start : start + ITEMS_AT_ONCE], self.shape)
                yield self.teller.see(self.media.states(planes.to(compute.current().device, torch.float32)))

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
    def _sample(self, seen: Tensor, samples: int, generator: torch.Generator) -> Tensor:
        """int64 [items · samples, longest]: words, then END for good."""
        count, longest = len(seen) * samples, self.vocabulary.longest
        room = (count, self.teller.heads, longest, self.media.width // self.teller.heads)
        pasts = [(seen.new_zeros(room), seen.new_zeros(room)) for _ in self.teller.blocks]
        rows, token = torch.arange(count), torch.full((count,), START, device=seen.device)
        out = torch.full((count, longest), END)
        for place in range(longest):
            with compute.half_precision():  # they are for training, too
                logits = self.teller.step(token, place, pasts, seen).float()
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
                kept = going.to(seen.device)
                pasts = [(keys[kept], values[kept]) for keys, values in pasts]
                seen = seen[kept // samples if len(seen) < len(rows) else kept]
                rows, drawn = rows[going], drawn[going]
            token = drawn.to(seen.device)
        return out

    @torch.inference_mode()
    def likelihood(self, texts: Sequence[str], prepared: Tensor, pairs: np.ndarray) -> np.ndarray:
        """Pairs of texts of a length together; each text is read once for all its pairs that stand together."""
        tokens = F.pad(self.vocabulary.batch(texts), (0, 1), value=END)
        lengths = (tokens != PAD).sum(1).numpy()
        order = np.lexsort((pairs[:, 0], lengths[pairs[:, 0]]))
        scores = np.empty(len(pairs), np.float32)
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            rows = order[start : start + PAIRS_AT_ONCE]
            asked, place = (torch.from_numpy(x) for x in np.unique(pairs[rows, 0], return_inverse=True))
            batch = tokens[asked, : int(lengths[asked].max()) + 1].to(prepared.device)
            place = place.to(prepared.device)
            seen = prepared[torch.from_numpy(pairs[rows, 1]).to(prepared.device)]
            logits = self.teller.held_against(self.teller.read(batch)[-1], place, seen)
            scores[rows] = -nll(logits.float(), batch[place]).sum(1).cpu().numpy()
        return scores

    def text_tower(self, dim: int) -> Listener:
        """A copy of what has learnt to read, with a new last layer."""
        torch.manual_seed(self.seed)
        teller = self._fresh_teller()
        named = self._trained.items()
        teller.load_state_dict({k.removeprefix("teller."): v for k, v in named if k.startswith("teller.")})
        return Listener(self.vocabulary, teller.words, teller.places, teller.blocks, dim)

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
        self.teller = self._fresh_teller()
        self.teller.load_state_dict(
            {k.removeprefix("teller."): v for k, v in weights.items() if k.startswith("teller.")}
        )
        self._finish()


def nll(logits: Tensor, tokens: Tensor) -> Tensor:
    """What each next word costs, END once, 0 behind it: (B, L, V), (B, L) → (B, L - 1)."""
    following = tokens[:, 1:]
    costs = F.cross_entropy(logits[:, :-1].transpose(1, 2), following, reduction="none")
    return costs.masked_fill(tokens[:, :-1] == END, 0)

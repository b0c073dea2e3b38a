"""The `small` captioner: generates captions word by word from the media tower of a small encoder.

Trained on the train split; the tower is trained on, since describing items takes more than distinguishing them. It also
computes the likelihood of a text, given an item.
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

from baselines.captioners.settings import SmallCaptionerSettings
from baselines.captioners.text_side import CaptionerText, causal_states
from baselines.encoders import features
from baselines.encoders.features import Shape
from baselines.encoders.positives import captions_of
from baselines.encoders.small import SmallEncoder
from baselines.encoders.towers import MediaTower, heads
from harness.contract.dataset import Contents, Links, Pairs
from harness.contract.instruments import Captioner
from harness.machine import compute
from harness.machine.progress import track
from harness.nn.batching import by_length, lengths
from harness.nn.layers import Attention, Block, KeysValues, below, parameter_count
from harness.nn.learning import Learner
from harness.nn.words import PAD, START, UNKNOWN, Vocabulary, pad

END = PAD  # follows the last word
STORED = "teller"  # the decoder's name in stored files
ITEMS_AT_ONCE, TEXTS_AT_ONCE, PAIRS_AT_ONCE = 128, 4096, 256


class CaptionDecoder(nn.Module):
    """A causal transformer over the words so far, then one cross-attention to the item, then the next word.

    The words' states are computed once a text, however many items it is scored with: a pair costs the cross-attention
    alone. Layers that alternate between the two learn no better, and cost several times as much a pair.
    """

    def __init__(self, vocabulary: int, longest: int, width: int, layers: int = 2) -> None:
        super().__init__()
        self.heads = heads(width)
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

    def forward(self, tokens: Tensor, items: Tensor) -> Tensor:
        """Logits (B, L, V) of each next word; tokens (B, L), items (B/c, P, 2d): c texts in turn share an item."""
        return self.logits(self.states(tokens)[-1], items)

    def prepare(self, media: Tensor) -> Tensor:  # (B, P, d) → their keys and values (B, P, 2d)
        return self.across.keyvalue(media)

    def states(self, tokens: Tensor) -> list[Tensor]:  # (B, L) → (B, L, d) after each layer
        return causal_states(tokens, self.words, self.places, self.blocks)

    def logits(self, x: Tensor, items: Tensor) -> Tensor:
        folded = self.asking(x).reshape(len(items), -1, x.shape[-1])
        return self._head(x + self.across.over(self.across.queries(folded), self.across.halves(items)).reshape(x.shape))

    def pair_logits(self, states: Tensor, texts: Tensor, items: Tensor) -> Tensor:
        """Logits (pairs, L, V) for states (T, L, d) of texts, each pair's text, and each pair's item (pairs, P, 2d)."""
        queries = self.across.queries(self.asking(states))[texts]
        return self._head(states[texts] + self.across.over(queries, self.across.halves(items)))

    def _head(self, x: Tensor) -> Tensor:
        return self.out(self.norm(x + self.feed(self.feed_norm(x))))

    def step(self, token: Tensor, place: int, pasts: list[KeysValues], items: Tensor) -> Tensor:
        """Logits (B, V) after one more word; `pasts` has room for keys and values of `longest` words in each layer."""
        x = (self.words(token) + self.places[place])[:, None]
        for block, past in zip(cast(list[Block], list(self.blocks)), pasts, strict=True):
            y = block.norm(x)
            for room, new in zip(past, block.attention.keys_values(y), strict=True):
                room[:, :, place] = new[:, :, 0]
            keys, values = (room[:, :, : place + 1] for room in past)
            x = x + block.attention.over(block.attention.queries(y), (keys, values))
            x = x + block.feed(block.feed_norm(x))
        return self.logits(x, items)[:, 0]


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
        self.decoder = self._fresh_decoder()
        device = compute.current().device
        self.media.to(device)
        self.decoder.to(device)
        rows = pad([self.vocabulary.tokens(text) for text in train.queries])
        planes = self.encoder.planes(train.candidates)
        self._learn(rows, planes, captions_of(train))
        self._finish()

    def _learn(self, rows: Tensor, planes: Tensor, captions: Links) -> None:
        rng = np.random.default_rng(self.seed)
        modules = [self.media, self.decoder]
        learner = Learner("the small captioner", modules, self.lr, self.steps, heads=[self.decoder.out])
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
                seen = self.decoder.prepare(self.media.states(planes[items].to(device, torch.float32)))
                logits = self.decoder(tokens, seen)
            value = nll(logits.float(), tokens).sum() / (tokens != PAD).sum()
            learner.learn(step, value)
            loss[0] = value.item()

    def _fresh_decoder(self) -> CaptionDecoder:
        return CaptionDecoder(len(self.vocabulary), self.vocabulary.longest, self.media.width)

    def _finish(self) -> None:
        self.parameters = parameter_count(self.media) + parameter_count(self.decoder)
        self._trained = {f"media.{name}": tensor for name, tensor in self.media.state_dict().items()}
        self._trained |= {f"{STORED}.{name}": tensor for name, tensor in self.decoder.state_dict().items()}
        self.media, self.decoder = copy.deepcopy(self.media), copy.deepcopy(self.decoder)
        compute.ready(self.media)
        compute.ready(self.decoder)

    # -- use --------------------------------------------------------------------------------------------------------

    def prepare(self, contents: Contents) -> Tensor:
        """Keys and values of the cross-attention: (n, P, 2d)."""
        places, width = self.media.places.shape
        return torch.cat(
            [torch.empty(0, places, 2 * width, device=compute.current().device), *self._prepared(contents)]
        )

    def _prepared(self, contents: Contents) -> Iterator[Tensor]:
        with torch.inference_mode():
            for batch in features.batches(self.encoder.planes(contents), ITEMS_AT_ONCE):
                yield self.decoder.prepare(self.media.states(batch))

    def describe(self, contents: Contents) -> list[list[str]]:
        samples, generator = self.samples, torch.Generator().manual_seed(self.seed)
        words = np.array(["", "", "", *self.vocabulary.words], dtype=object)
        described: list[list[str]] = []
        for media in track(self._prepared(contents), "captions", -(-len(contents) // ITEMS_AT_ONCE)):
            for part in media.split(max(1, TEXTS_AT_ONCE // samples)):
                tokens = self._sample(part, samples, generator).numpy()
                texts = [" ".join(filter(None, row)) for row in words[tokens]]
                described += [texts[start : start + samples] for start in range(0, len(texts), samples)]
        return described

    @torch.inference_mode()
    def _sample(self, seen: Tensor, samples: int, generator: torch.Generator) -> Tensor:
        """int64 [items · samples, longest]: words, then END for good."""
        count, longest = len(seen) * samples, self.vocabulary.longest
        room = (count, self.decoder.heads, longest, self.media.width // self.decoder.heads)
        pasts = [(seen.new_zeros(room), seen.new_zeros(room)) for _ in self.decoder.blocks]
        rows, token = torch.arange(count), torch.full((count,), START, device=seen.device)
        out = torch.full((count, longest), END)
        for place in range(longest):
            with compute.half_precision():  # captions are for training
                logits = self.decoder.step(token, place, pasts, seen).float()
            logits[:, START : UNKNOWN + 1] = -torch.inf  # neither START nor UNKNOWN is a word
            odds = (logits / self.temperature).softmax(-1).cpu()
            drawn = torch.multinomial(odds, 1, generator=generator)[:, 0]
            if place:
                drawn = torch.where(out[rows, place - 1] == END, END, drawn)
            out[rows, place] = drawn
            going = drawn.nonzero()[:, 0]
            if not len(going):
                break
            if 2 * len(going) <= len(rows):  # most have ended: go on with the others alone
                kept = going.to(seen.device)
                pasts = [(keys[kept], values[kept]) for keys, values in pasts]
                seen = seen[kept // samples if len(seen) < len(rows) else kept]
                rows, drawn = rows[going], drawn[going]
            token = drawn.to(seen.device)
        return out

    @torch.inference_mode()
    def likelihood(self, texts: Sequence[str], prepared: Tensor, pairs: np.ndarray) -> np.ndarray:
        """Each text's states are computed once for all its pairs in a batch."""
        tokens = F.pad(self.vocabulary.batch(texts), (0, 1), value=END)
        longest = lengths(tokens).numpy()
        scores = np.empty(len(pairs), np.float32)
        for rows in by_length(longest[pairs[:, 0]], PAIRS_AT_ONCE, pairs[:, 0]) if len(pairs) else ():
            asked, place = (torch.from_numpy(x) for x in np.unique(pairs[rows, 0], return_inverse=True))
            batch = tokens[asked, : int(longest[asked].max()) + 1].to(prepared.device)
            place = place.to(prepared.device)
            seen = prepared[torch.from_numpy(pairs[rows, 1]).to(prepared.device)]
            logits = self.decoder.pair_logits(self.decoder.states(batch)[-1], place, seen)
            scores[rows] = -nll(logits.float(), batch[place]).sum(1).cpu().numpy()
        return scores

    def text_tower(self, dim: int) -> CaptionerText:
        """A copy of the decoder's text layers, with new last layers."""
        torch.manual_seed(self.seed)
        decoder = self._fresh_decoder()
        decoder.load_state_dict(below(self._trained, STORED))
        return CaptionerText(self.vocabulary, decoder.words, decoder.places, decoder.blocks, dim)

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
        self.media = MediaTower(self.shape, self.encoder.dim, self.encoder.width)
        self.media.load_state_dict(below(weights, "media"))
        self.decoder = self._fresh_decoder()
        self.decoder.load_state_dict(below(weights, STORED))
        self._finish()


def nll(logits: Tensor, tokens: Tensor) -> Tensor:
    """The cross-entropy of each next word, END included, 0 after it: (B, L, V), (B, L) → (B, L - 1)."""
    following = tokens[:, 1:]
    costs = F.cross_entropy(logits[:, :-1].transpose(1, 2), following, reduction="none")
    return costs.masked_fill(tokens[:, :-1] == END, 0)

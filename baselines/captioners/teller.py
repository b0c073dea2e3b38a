"""What captioners that are trained here share: a media side, and a decoder that reads its states word by word.

Trained on pairs of a train split; they also compute the likelihood of a text, given an item. A captioner's own file
says what its media side reads of an item, and where its words come from.
"""

from __future__ import annotations

import copy
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from baselines.captioners.decoder import END, CaptionDecoder, nll
from baselines.captioners.settings import TellerSettings
from baselines.captioners.text_side import CaptionerText
from baselines.encoders import features
from baselines.encoders.positives import captions_of
from harness.contract.dataset import Contents, Links, Pairs
from harness.contract.instruments import Captioner
from harness.machine import compute
from harness.machine.progress import track
from harness.nn.batching import by_length, lengths
from harness.nn.layers import below, parameter_count
from harness.nn.learning import Learner
from harness.nn.words import PAD, START, UNKNOWN, Vocabulary

STORED = "teller"  # the decoder's name in stored files
ITEMS_AT_ONCE, TEXTS_AT_ONCE, PAIRS_AT_ONCE = 128, 4096, 256  # the first two decide what is drawn: never the machine


class Teller(Captioner):
    vocabulary: Vocabulary
    media: Any  # a module: `states` of a batch of inputs (B, P, width), `places` (P, width), `width`

    def __init__(self, settings: TellerSettings, seed: int) -> None:
        self.seed = seed
        self.steps, self.items, self.texts, self.lr = settings.steps, settings.items, settings.texts, settings.lr
        self.samples, self.temperature = settings.samples, settings.temperature

    @abstractmethod
    def _words(self, train: Pairs) -> Vocabulary:
        """Those that it may say."""

    @abstractmethod
    def _fresh_media(self) -> Any:
        """The media side as it is before training."""

    @abstractmethod
    def _inputs(self, contents: Contents) -> Tensor:
        """What the media side reads of contents that are known beforehand: (n, …)."""

    # -- training ---------------------------------------------------------------------------------------------------

    def fit(self, train: Pairs, validation: Pairs) -> None:
        torch.manual_seed(self.seed)
        self.vocabulary = self._words(train)
        self.media = self._fresh_media()
        self.decoder = self._fresh_decoder()
        device = compute.current().device
        self.media.to(device)
        self.decoder.to(device)
        rows = F.pad(self.vocabulary.batch(train.queries), (0, 1), value=END)
        self._learn(rows, self._inputs(train.candidates), captions_of(train))
        self._finish()

    def _learn(self, rows: Tensor, inputs: Tensor, captions: Links) -> None:
        rng = np.random.default_rng(self.seed)
        modules = [self.media, self.decoder]
        learner = Learner("the captioner", modules, self.lr, self.steps, heads=[self.decoder.out])
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
                seen = self.decoder.prepare(self.media.states(inputs[items].to(device, torch.float32)))
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
            for batch in features.batches(self._inputs(contents), ITEMS_AT_ONCE):
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
        for rows in by_length(longest[pairs[:, 0]], compute.at_once(PAIRS_AT_ONCE), pairs[:, 0]) if len(pairs) else ():
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
        words = {"vocabulary": self.vocabulary.words, "longest": self.vocabulary.longest}
        (folder / "captioner.json").write_text(json.dumps(words))

    def load(self, folder: Path) -> None:
        words = json.loads((folder / "captioner.json").read_text())
        self.vocabulary = Vocabulary(tuple(words["vocabulary"]), words["longest"])
        weights = load_file(folder / "captioner.safetensors")
        self.media = self._fresh_media()
        self.media.load_state_dict(below(weights, "media"))
        self.decoder = self._fresh_decoder()
        self.decoder.load_state_dict(below(weights, STORED))
        self._finish()

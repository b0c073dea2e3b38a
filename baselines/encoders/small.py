"""The `small` encoder: a text transformer and a CNN for sound, pictures or video, trained from scratch by contrast.

It stands in where no pretrained model can be had: two cores train it in minutes. The loss is CLIP's, symmetric over a
batch of matching pairs (Radford et al., 2021). Training ends early where the validation split no longer gains by it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from baselines.encoders import features
from baselines.encoders.features import Shape
from baselines.encoders.positives import Positives, contrast, reciprocal_ranks, right_ones
from baselines.encoders.sampling import LookAlikes
from baselines.encoders.settings import SmallEncoderSettings
from baselines.encoders.towers import MediaTower, TextTower
from harness.contract.dataset import Contents, Links, Pairs
from harness.contract.instruments import TokenEncoder
from harness.contract.store import Store
from harness.machine import compute
from harness.machine.progress import say, track
from harness.nn import batching
from harness.nn.layers import below, parameter_count
from harness.nn.learning import Apart, Learner
from harness.nn.words import PAD, Vocabulary, pad

TEXT_BATCH, MEDIA_BATCH = 512, 128
MOST_KEPT = 1 << 30  # bytes of what is seen of a gallery: of a larger one it is made a part at a time
FIRST_SCALE = 3.0  # exp(3) ≈ 20
LOOKS = 10  # validations, evenly over the steps
LEAST_BETWEEN = 10  # steps from one validation to the next


class SmallEncoder(TokenEncoder):
    def __init__(self, settings: SmallEncoderSettings, seed: int, store: Store | None = None) -> None:
        self.steps, self.batch, self.dim, self.lr = settings.steps, settings.batch, settings.dim, settings.lr
        self.patience, self.pixels, self.width, self.seed = settings.patience, settings.pixels, settings.width, seed
        self.store = store  # keeps the planes of what is trained on and of galleries
        self.learned: dict[str, Any] = {}  # how training went

    # -- training ---------------------------------------------------------------------------------------------------

    def fit(self, train: Pairs, validation: Pairs) -> None:
        if not len(train.queries):
            raise ValueError("the small encoder learns from scratch and got an empty training split: name another one")
        positives = Positives(train)
        items = int((positives.captions.counts > 0).sum())
        if min(items, positives.texts) < 2:
            raise ValueError(
                f"the small encoder learns to distinguish items by their texts and got {items} items with "
                f"{positives.texts} different texts to learn from: name a larger training split"
            )
        vocabulary = Vocabulary.learn(train.queries)
        torch.manual_seed(self.seed)
        self._assemble(vocabulary, features.shape_of(train.candidates, self.pixels))
        device = compute.current().device
        self.text.to(device)
        self.media.to(device)
        rows = pad([vocabulary.tokens(text) for text in train.queries])
        planes, cut = features.planes_and_cut(train.candidates, self.shape, self.store)
        if cut > len(planes) / 100:
            say(f"    training small: {cut:,} of {len(planes):,} items are larger than {self.shape}, and are cut to it")
        self.learned = {"shape": str(self.shape), "items": len(planes), "cut": cut}
        self._learn(rows, planes, positives, validation)
        self._finish()

    def _learn(self, rows: Tensor, planes: Tensor, positives: Positives, validation: Pairs) -> None:
        rng = np.random.default_rng(self.seed)
        scale = nn.Parameter(torch.tensor(FIRST_SCALE, device=compute.current().device))
        learner = Learner(
            "the small encoder",
            [self.text, self.media],
            self.lr,
            self.steps,
            apart=[Apart([scale], 10)],  # in so few steps it would hardly move at the others' rate
            warmup=min(0.15, 50 / self.steps),
        )
        checks = _Validation(self, validation)
        sampler = LookAlikes(len(planes), self.dim, rng)
        for step in track(range(self.steps), "training small", note=checks.words):
            items, captions = _one_caption_each(positives.captions, sampler.items(self.batch), rng)
            with compute.half_precision():
                texts = batching.encode(self.text, rows[captions], scale.device)
                media = self.media(planes[items].to(scale.device, torch.float32))
            sampler.update(items, media)
            logits = scale.exp().clamp(max=100) * texts @ media.T  # (B, B)
            loss = checks.loss = contrast(logits, positives.among(captions, items))
            learner.learn(step, loss)
            if step + 1 == self.steps or (step + 1) % max(LEAST_BETWEEN, self.steps // LOOKS) == 0:
                checks.look(step + 1)
                if checks.stands_still(step + 1):
                    break
        self.learned |= {"steps": step + 1, "loss": checks.loss.item(), **checks.keep_best()}

    def _assemble(self, vocabulary: Vocabulary, shape: Shape) -> None:
        self.vocabulary, self.shape = vocabulary, shape
        self.modalities = ("text", shape.modality)
        self.text = TextTower(len(vocabulary), vocabulary.longest, self.dim, self.width)
        self.media = MediaTower(shape, self.dim, self.width)

    def _finish(self) -> None:
        self.parameters = parameter_count(self.text) + parameter_count(self.media)
        self._trained = {f"text.{name}": tensor for name, tensor in self.text.state_dict().items()}
        self._trained |= {f"media.{name}": tensor for name, tensor in self.media.state_dict().items()}
        self.text, self.media = copy.deepcopy(self.text), copy.deepcopy(self.media)
        compute.ready(self.text)
        compute.ready(self.media)

    # -- use --------------------------------------------------------------------------------------------------------

    def encode(self, contents: Contents) -> np.ndarray:
        if contents.modality == "text":
            with torch.inference_mode():
                rows = self.vocabulary.batch(list(contents))
                return batching.encode(self.text, rows, compute.current().device, TEXT_BATCH).cpu().numpy()
        return self._of_planes(self._planes_now(contents))

    def ahead(self, contents: Contents) -> Callable[[slice], np.ndarray]:
        if contents.modality == "text":
            return super().ahead(contents)
        if features.needed(len(contents), self.shape) > MOST_KEPT:
            return lambda part: self._of_planes(self._planes_now(contents[part]))
        planes = self.planes(contents)
        return lambda part: self._of_planes(features.batches(planes[part], MEDIA_BATCH))

    def planes(self, contents: Contents) -> Tensor:
        """What this encoder sees of media that are known beforehand, float16: made once for all who train or index."""
        self._require_known(contents)
        return features.planes(contents, self.shape, self.store)

    @torch.inference_mode()
    def _of_planes(self, batches: Iterable[Tensor]) -> np.ndarray:
        parts = [self.media(batch).cpu().numpy() for batch in batches]
        return np.concatenate(parts) if parts else np.empty((0, self.dim), np.float32)

    def _planes_now(self, contents: Contents) -> Iterator[Tensor]:
        """Of queries: made whenever they are asked."""
        self._require_known(contents)
        for start in range(0, len(contents), MEDIA_BATCH):
            planes = features.planes(contents[start : start + MEDIA_BATCH], self.shape)
            yield from features.batches(planes, MEDIA_BATCH)

    def _require_known(self, contents: Contents) -> None:
        if contents.modality != self.shape.modality:
            raise ValueError(
                f"this small encoder was trained on text and {self.shape.modality}; it can't encode {contents.modality}"
            )

    def text_tower(self) -> WordTower:
        tower = TextTower(len(self.vocabulary), self.vocabulary.longest, self.dim, self.width)
        tower.load_state_dict(below(self._trained, "text"))
        return WordTower(self.vocabulary, tower)

    def trainable_media(self) -> MediaTower:
        """A copy of the media tower to go on training with."""
        tower = MediaTower(self.shape, self.dim, self.width)
        tower.load_state_dict(below(self._trained, "media"))
        return tower

    def tokens(self, contents: Contents) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            if contents.modality == "text":
                batch = self.vocabulary.batch(list(contents)).to(compute.current().device)
                return self.text.states(batch)[-1].cpu().numpy(), (batch != PAD).cpu().numpy()
            parts = [self.media.states(batch).cpu().numpy() for batch in self._planes_now(contents)]
        states = np.concatenate(parts) if parts else np.empty((0, *self.media.places.shape), np.float32)
        return states, np.ones(states.shape[:2], bool)

    def details(self) -> Mapping[str, Any]:
        """How training went: the shape of its input, how many items were larger, its last step, loss and MRR."""
        return self.learned

    # -- keeping ----------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        save_file(
            {name: tensor.cpu().contiguous() for name, tensor in self._trained.items()}, folder / "small.safetensors"
        )
        config = {"vocabulary": self.vocabulary.words, "longest": self.vocabulary.longest, "shape": asdict(self.shape)}
        config["learned"] = self.learned
        (folder / "small.json").write_text(json.dumps(config))

    def load(self, folder: Path) -> None:
        config = json.loads((folder / "small.json").read_text())
        self.learned = config["learned"]
        self._assemble(Vocabulary(tuple(config["vocabulary"]), config["longest"]), Shape(**config["shape"]))
        weights = load_file(folder / "small.safetensors")
        self.text.load_state_dict(below(weights, "text"))
        self.media.load_state_dict(below(weights, "media"))
        self._finish()


class WordTower(nn.Module):
    """The text tower with its vocabulary: a `TextTower` for others to start from."""

    def __init__(self, vocabulary: Vocabulary, tower: TextTower) -> None:
        super().__init__()
        self.vocabulary, self.tower = vocabulary, tower
        self.layers, self.width, self.dim = tower.layers, tower.width, tower.dim

    def tokens(self, texts: Sequence[str]) -> Tensor:
        return self.vocabulary.batch(texts)

    def layered(self, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
        states = self.tower.states(tokens)
        return states, self.tower.pooled(states[-1], tokens)


class _Validation:
    """Keeps the weights that ranked best on the validation split, and ends training when no better ones come."""

    def __init__(self, encoder: SmallEncoder, pairs: Pairs) -> None:
        self.encoder, self.best, self.best_at, self.since, self.note = encoder, -1.0, 0, 0, ""
        self.loss = torch.zeros(())
        self.pairs = pairs if len(pairs.queries) else None
        if self.pairs:
            self.planes = encoder.planes(pairs.candidates)
            self.right = right_ones(pairs.links, len(pairs.candidates))
        self.kept: list[dict[str, Tensor]] = []

    def words(self) -> str:
        return f"loss {self.loss.item():.2f}{self.note}"

    def look(self, step: int) -> None:
        if self.pairs is None:
            return
        encoder = self.encoder
        encoder.text.eval()
        encoder.media.eval()
        with torch.inference_mode():
            texts = torch.from_numpy(encoder.encode(self.pairs.queries))
            batches = features.batches(self.planes, MEDIA_BATCH)
            media = torch.cat([encoder.media(batch).cpu() for batch in batches])
            reciprocal = reciprocal_ranks(texts @ media.T, self.right).mean().item()
        encoder.text.train()
        encoder.media.train()
        self.note = f", validation MRR {reciprocal:.2f}"
        self.since += 1
        if reciprocal > self.best:
            self.best, self.best_at, self.since = reciprocal, step, 0
        if reciprocal == self.best:  # of equals the last, which was trained longest
            self.kept = [copy.deepcopy(tower.state_dict()) for tower in (encoder.text, encoder.media)]

    def stands_still(self, step: int) -> bool:
        """Whether to end training: half of it is done, and the last validations brought no gain."""
        steps, patience = self.encoder.steps, self.encoder.patience
        if not patience or self.since < patience or not steps / 2 <= step < steps:
            return False
        say(
            f"    training small: ended at step {step} of {steps}, for validation MRR has been {self.best:.2f} at most "
            f"since step {self.best_at}"
        )
        return True

    def keep_best(self) -> dict[str, float]:
        for tower, state in zip((self.encoder.text, self.encoder.media), self.kept, strict=False):
            tower.load_state_dict(state)
        return {"validation MRR": self.best} if self.kept else {}


def _one_caption_each(captions: Links, items: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Those of the items that have captions, and one of each: two of one item would be each other's negatives."""
    counts = captions.counts[items]
    chosen = captions.starts[items] + (rng.random(len(items)) * counts).astype(np.int64)
    return items[counts > 0], captions.targets[chosen[counts > 0]]

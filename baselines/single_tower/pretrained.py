"""Pretrained single towers of transformers: BLIP's image-text matching and ViLT. A video is some of its frames.

What a model computes from the pixels alone is kept for each candidate; the text joins it pair by pair, as in the
library's own forward pass. A video's frames follow one another, as in BLIP (Li et al., 2022).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from baselines.single_tower.scorer import PAIRS_AT_ONCE, SingleTower, batches
from baselines.single_tower.settings import PretrainedSettings
from harness.contract.dataset import Contents, Pairs, Unavailable
from harness.contract.problems import BadInput
from harness.machine import compute
from harness.machine.compute import Precision, stage
from harness.machine.progress import track
from harness.nn import checkpoints
from harness.nn.layers import parameter_count

FRAMES = 8  # of a video at most
STATES_AT_ONCE = 1 << 24  # numbers: 64 MB of patches for a batch of pairs


class Model(Protocol):
    """One family of models: how it encodes a picture, and how it scores a text with those states."""

    network: Any

    def see(self, picture: Image.Image) -> Tensor:
        """What doesn't depend on the text: (P, d)."""

    def judge(self, texts: dict[str, Tensor], states: Tensor, mask: Tensor) -> Tensor:
        """Tokens of B texts and states of B media (B, P, d), mask (B, P) → (B)."""


class Blip:
    def __init__(self, checkpoint: Path, precision: Precision) -> None:
        model = checkpoints.model("BlipForImageTextRetrieval", checkpoint)
        self.network: Any = compute.ready(model, precision)
        self.processor = checkpoints.part("AutoImageProcessor", checkpoint)

    def see(self, picture: Image.Image) -> Tensor:
        pixels = self.processor(images=picture, return_tensors="pt")["pixel_values"]
        return self.network.vision_model(pixel_values=pixels.to(self.network.device)).last_hidden_state[0]

    def judge(self, texts: dict[str, Tensor], states: Tensor, mask: Tensor) -> Tensor:
        found = self.network.text_encoder(
            input_ids=texts["input_ids"],
            attention_mask=texts["attention_mask"],
            encoder_hidden_states=states,
            encoder_attention_mask=mask.long(),
        )
        against, for_it = self.network.itm_head(found.last_hidden_state[:, 0]).T
        return for_it - against  # the log-odds of a match


class Vilt:
    def __init__(self, checkpoint: Path, precision: Precision) -> None:
        model = checkpoints.model("ViltForImageAndTextRetrieval", checkpoint, unasked=())
        self.network: Any = compute.ready(model, precision)
        self.processor = checkpoints.part("AutoImageProcessor", checkpoint)

    def see(self, picture: Image.Image) -> Tensor:
        pixels = self.processor(images=picture, return_tensors="pt").to(self.network.device)
        with torch.random.fork_rng(devices=[]):  # it shuffles its patches, which matters only where it drops some
            torch.manual_seed(0)
            most = self.network.config.max_image_length
            states, _, _ = self.network.vilt.embeddings.visual_embed(
                pixels["pixel_values"], pixels["pixel_mask"], max_image_length=most
            )
        return states[0]

    def judge(self, texts: dict[str, Tensor], states: Tensor, mask: Tensor) -> Tensor:
        return self.network(**texts, image_embeds=states, pixel_mask=mask.long()).logits[:, 0]


KINDS: dict[str, type[Blip] | type[Vilt]] = {"blip": Blip, "vilt": Vilt}


class Pretrained(SingleTower):
    def __init__(self, settings: PretrainedSettings) -> None:
        self.checkpoint, self.precision = settings.checkpoint, settings.precision
        self._model: Model | None = None

    @property
    def model(self) -> Model:
        """Loaded when first needed."""
        if self._model is None:
            checkpoints.require(self.precision)
            kind = checkpoints.part("AutoConfig", self.checkpoint).model_type
            if kind not in KINDS:
                raise BadInput(
                    f"{self.checkpoint} is of kind {kind}, which judges no pair of text and image; name a checkpoint "
                    f"of kind {' or '.join(KINDS)}"
                )
            self._model = KINDS[kind](self.checkpoint, self.precision)
            self.tokenizer = checkpoints.part("AutoTokenizer", self.checkpoint)
        return self._model

    def fit(self, train: Pairs, validation: Pairs) -> None:
        """Nothing is learnt; this loads it, to fail before anything is made from it."""
        self.parameters = parameter_count(self.model.network)

    # -- the media side ---------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def prepare(self, media: Contents) -> dict[str, np.ndarray]:
        if media.modality not in ("image", "video"):
            raise Unavailable(f"{self.checkpoint} judges images and frames of video, no {media.modality}")
        seen = []
        for thing in track(media, "patches", len(media)):
            with compute.amp(self.precision):
                frames = [self.model.see(Image.fromarray(np.ascontiguousarray(frame))) for frame in _frames(thing)]
            seen.append(torch.cat(frames).float().cpu().numpy())
        lengths = np.array([len(states) for states in seen], np.int64)
        width = seen[0].shape[1] if seen else 0
        states = np.zeros((len(seen), int(lengths.max(initial=0)), width), np.float32)
        for row, each in enumerate(seen):
            states[row, : len(each)] = each
        return {"states": states, "lengths": lengths}

    def add(self, contents: Contents) -> None:
        """Pictures of another shape may have more patches: then all rows get as many."""
        parts = [self.media, self.prepare(contents)]
        parts = [part for part in parts if len(part["lengths"])]
        room = max((part["states"].shape[1] for part in parts), default=0)
        if parts:
            wide = [np.pad(part["states"], ((0, 0), (0, room - part["states"].shape[1]), (0, 0))) for part in parts]
            self.media = {"states": np.concatenate(wide), "lengths": np.concatenate([p["lengths"] for p in parts])}

    # -- pairs ------------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def judge(self, texts: Sequence[str], pairs: np.ndarray) -> np.ndarray:
        model, device = self.model, compute.current().device
        scores = np.empty(len(pairs), np.float32)
        an_item = max(1, self.media["states"][:1].size)
        with stage("score"):
            for batch in batches(texts, pairs, compute.at_once(max(1, min(PAIRS_AT_ONCE, STATES_AT_ONCE // an_item)))):
                query, item = torch.from_numpy(batch.pairs).T
                lengths = torch.from_numpy(np.asarray(self.media["lengths"][batch.items]))
                longest = int(lengths.max())
                states = torch.from_numpy(np.asarray(self.media["states"][batch.items, :longest]))[item].to(device)
                mask = (torch.arange(longest) < lengths[item, None]).to(device)
                tokens = self.tokenizer(batch.texts, padding=True, truncation=True, return_tensors="pt")
                asked = {name: rows[query].to(device) for name, rows in tokens.items()}
                with compute.amp(self.precision):
                    judged = model.judge(asked, states, mask)
                scores[batch.rows] = judged.float().cpu().numpy()
        return scores

    # -- keeping ----------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / "pretrained.json").write_text(json.dumps({"parameters": self.parameters}))

    def load(self, folder: Path) -> None:
        super().load(folder)
        self.parameters = json.loads((folder / "pretrained.json").read_text())["parameters"]


def _frames(thing: np.ndarray) -> np.ndarray:
    """A picture alone [1, H, W, 3], or some frames of a video, drawn evenly [F, H, W, 3]."""
    stack = thing[None] if thing.ndim == 3 else thing
    return stack[np.linspace(0, len(stack) - 1, min(FRAMES, len(stack))).round().astype(int)]

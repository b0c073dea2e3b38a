"""The `pretrained` captioner: an image captioning checkpoint of transformers. It describes single frames of a video.

Only kinds of models that generate a caption from pixels alone, without a prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from baselines.captioners.settings import PretrainedCaptionerSettings
from harness.contract.dataset import Contents, Pairs, Unavailable
from harness.contract.instruments import Captioner
from harness.contract.problems import BadInput
from harness.machine import compute
from harness.machine.progress import track
from harness.nn import checkpoints
from harness.nn.layers import parameter_count

KINDS = ("blip", "blip-2", "git", "vision-encoder-decoder")
FRAMES = 8  # of a video at most: its captions are spread over them
TEXTS_AT_ONCE = 64
TOKENS_A_WORD = 2  # enough room for words of several tokens


class PretrainedCaptioner(Captioner):
    def __init__(self, settings: PretrainedCaptionerSettings, seed: int) -> None:
        self.checkpoint, self.samples, self.temperature = settings.checkpoint, settings.samples, settings.temperature
        self.max_words, self.seed = settings.max_words, seed
        self._model: Any = None

    def fit(self, train: Pairs, validation: Pairs) -> None:
        """Nothing is learnt; this loads it, to fail before anything is made from it."""
        self.parameters = parameter_count(self.model)

    @property
    def model(self) -> Any:
        """Loaded with the first caption: most runs find theirs in the store."""
        if self._model is None:
            kind = checkpoints.part("AutoConfig", self.checkpoint).model_type
            if kind not in KINDS:
                raise BadInput(
                    f"{self.checkpoint} is of kind {kind}, which writes no caption from pixels alone; name a "
                    f"checkpoint of kind {', '.join(KINDS)}, or bring captions with `kind: file`"
                )
            self.processor = checkpoints.part("AutoImageProcessor", self.checkpoint)
            self.tokenizer = checkpoints.part("AutoTokenizer", self.checkpoint)
            self._model = compute.ready(checkpoints.model("AutoModelForImageTextToText", self.checkpoint))
        return self._model

    def describe(self, contents: Contents) -> list[list[str]]:
        if contents.modality not in ("image", "video"):
            raise Unavailable(
                f"{self.checkpoint} describes images and frames of video, no {contents.modality}: use another "
                "captioner there, or bring captions with `kind: file`"
            )
        if not len(contents):
            return []
        frames = min(self.samples, FRAMES) if contents.modality == "video" else 1
        each = -(-self.samples // frames)  # captions of a frame
        at_once = max(1, TEXTS_AT_ONCE // (frames * each))
        described: list[list[str]] = []
        model = self.model
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(self.seed)
            for pictures in track(_batches(contents, frames, at_once), "captions", -(-len(contents) // at_once)):
                texts = np.array(self._sample(pictures, each), dtype=object).reshape(-1, frames, each)
                # one of every frame, then the next of every frame, so that all frames lose about as many
                described += [item.T.ravel().tolist()[: self.samples] for item in texts]
        return described

    @torch.inference_mode()
    def _sample(self, pictures: list[Image.Image], each: int) -> list[str]:
        """`each` texts of the first picture, then of the second, …"""
        pixels = self.processor(images=pictures, return_tensors="pt")["pixel_values"].to(self.model.device)
        tokens = self.model.generate(
            pixel_values=pixels,
            do_sample=True,
            num_beams=1,
            temperature=self.temperature,
            num_return_sequences=each,
            max_new_tokens=TOKENS_A_WORD * self.max_words,
        )
        texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [" ".join(text.split()[: self.max_words]) for text in texts]

    def save(self, folder: Path) -> None:
        (folder / "pretrained.json").write_text(json.dumps({"parameters": self.parameters}))

    def load(self, folder: Path) -> None:
        self.parameters = json.loads((folder / "pretrained.json").read_text())["parameters"]


def _batches(contents: Contents, frames: int, at_once: int) -> Iterator[list[Image.Image]]:
    """The frames of some items after one another, drawn evenly from each."""
    for start in range(0, len(contents), at_once):
        stacks = [thing[None] if thing.ndim == 3 else thing for thing in contents[start : start + at_once]]
        chosen = [stack[np.linspace(0, len(stack) - 1, frames).round().astype(int)] for stack in stacks]
        yield [Image.fromarray(np.ascontiguousarray(frame)) for stack in chosen for frame in stack]

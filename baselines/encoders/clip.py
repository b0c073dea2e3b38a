"""The `clip` encoder: a CLIP or SigLIP checkpoint of transformers. A video is the mean of its frames."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from baselines.encoders.pretrained import PretrainedEncoder, Towers
from baselines.encoders.settings import ClipSettings
from baselines.encoders.transformers_text import TransformersText
from harness.contract.problems import BadInput
from harness.machine import compute
from harness.nn import checkpoints
from harness.nn.layers import parameter_count

KINDS = {"clip": "CLIPModel", "siglip": "SiglipModel"}


class ClipEncoder(PretrainedEncoder):
    modalities = ("text", "image", "video")

    def __init__(self, settings: ClipSettings) -> None:
        super().__init__(settings.precision, settings.frames)
        self.checkpoint = settings.checkpoint

    def _model(self) -> Any:
        kind = checkpoints.part("AutoConfig", self.checkpoint).model_type
        if kind not in KINDS:
            raise BadInput(f"{self.checkpoint} is of kind {kind}; name a checkpoint of kind {' or '.join(KINDS)}")
        return checkpoints.model(KINDS[kind], self.checkpoint, unasked=())

    def _load(self) -> Towers:
        model = self._model()
        processor = checkpoints.part("AutoImageProcessor", self.checkpoint)
        text = TransformersText(model, checkpoints.part("AutoTokenizer", self.checkpoint))
        parameters = parameter_count(model)
        compute.ready(model, self.precision)
        project = getattr(model, "visual_projection", None)  # SigLIP's is inside

        def pixels(pictures: list[Any]) -> Tensor:
            return processor(images=pictures, return_tensors="pt")["pixel_values"].to(compute.current().device)

        def media(pictures: list[Any]) -> Tensor:
            pooled = model.vision_model(pixel_values=pixels(pictures)).pooler_output
            return pooled if project is None else project(pooled)

        def states(pictures: list[Any]) -> Tensor:
            return model.vision_model(pixel_values=pixels(pictures)).last_hidden_state

        # `compute.ready` has replaced projections by faster ones: the text side uses the same
        text.projection = getattr(model, "text_projection", torch.nn.Identity())
        return Towers(text.dim, parameters, text.tokens, text, media, text.states, states)

    def text_tower(self) -> TransformersText:
        """Loaded once more: the one in use is frozen, its layers packed for searching."""
        return TransformersText(self._model(), checkpoints.part("AutoTokenizer", self.checkpoint))

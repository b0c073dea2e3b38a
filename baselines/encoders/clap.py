"""The `clap` encoder: a CLAP checkpoint of transformers, text and sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.encoders.pretrained import PretrainedEncoder, Towers, middle, resampled
from baselines.encoders.settings import ClapSettings
from baselines.encoders.transformers_text import TransformersText
from harness.contract.dataset import Waveform
from harness.machine import compute
from harness.nn import checkpoints
from harness.nn.layers import parameter_count


class ClapEncoder(PretrainedEncoder):
    modalities = ("text", "audio")

    def __init__(self, settings: ClapSettings) -> None:
        super().__init__(settings.precision)
        self.checkpoint = settings.checkpoint

    def _load(self) -> Towers:
        extractor = checkpoints.part("AutoFeatureExtractor", self.checkpoint)
        model = checkpoints.model("ClapModel", self.checkpoint, unasked=())
        text = TransformersText(model, checkpoints.part("AutoTokenizer", self.checkpoint))
        parameters = parameter_count(model)
        compute.ready(model, self.precision)

        def encoded(sounds: list[Waveform]) -> Any:
            inputs = features(extractor, [resampled(sound, extractor.sampling_rate) for sound in sounds])
            device = compute.current().device
            return model.audio_model(**{name: tensor.to(device) for name, tensor in inputs.items()})

        def media(sounds: list[Waveform]) -> Tensor:
            return model.audio_projection(encoded(sounds).pooler_output)

        def states(sounds: list[Waveform]) -> Tensor:
            return encoded(sounds).last_hidden_state.flatten(2).transpose(1, 2)

        return Towers(text.dim, parameters, text.tokens, text, media, text.states, states)

    def text_tower(self) -> TransformersText:
        """Loaded once more: the one in use is frozen, its layers packed for searching."""
        model = checkpoints.model("ClapModel", self.checkpoint, unasked=())
        return TransformersText(model, checkpoints.part("AutoTokenizer", self.checkpoint))


def features(extractor: Any, sounds: list[np.ndarray]) -> dict[str, Tensor]:
    """Of each sound alone, so that no answer depends on the others in its batch or on chance.

    The library cuts long sounds anywhere, and calls one of a batch long where none is.
    """
    fuses, most = extractor.truncation == "fusion", extractor.nb_max_samples
    state = np.random.get_state()
    parts, longer = [], []
    try:
        for samples in sounds:
            np.random.seed(0)  # for the three crops that are fused with a long sound as a whole
            samples = samples if fuses else middle(samples, most)
            parts.append(
                extractor(samples, sampling_rate=extractor.sampling_rate, return_tensors="pt")["input_features"]
            )
            longer.append([fuses and len(samples) // extractor.hop_length > most // extractor.hop_length])
    finally:
        np.random.set_state(state)
    return {"input_features": torch.cat(parts).float(), "is_longer": torch.tensor(longer)}

"""The `laion_clap` encoder: LAION's own package and its .pt checkpoints, text and sound.

The package wants a numpy before 2 and fetches roberta-base when it makes a model: see the extra `clap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.encoders.pretrained import PretrainedEncoder, Towers, middle, resampled
from baselines.encoders.settings import LaionClapSettings
from harness.contract.dataset import Unavailable, Waveform
from harness.machine import compute
from harness.nn import checkpoints
from harness.nn.layers import parameter_count

RATE, LONGEST = 48_000, 480_000  # samples a second, and of a sound: ten seconds
WORDS = 77  # tokens of a text; what is longer is cut
STALE = "text_branch.embeddings.position_ids"  # older versions of transformers kept it among the weights


class LaionClapEncoder(PretrainedEncoder):
    modalities = ("text", "audio")

    def __init__(self, settings: LaionClapSettings) -> None:
        super().__init__(settings.precision)
        self.checkpoint, self.architecture, self.fusion = settings.checkpoint, settings.architecture, settings.fusion

    def _load(self) -> Towers:
        if not self.checkpoint.is_file():
            raise Unavailable(
                f"laion_clap: no checkpoint at {self.checkpoint}; `hf download lukewys/laion_clap` fetches LAION's, "
                "630k-audioset-best.pt among them, where there is a network"
            )
        tensors = checkpoints.weights(self.checkpoint)
        tensors.pop(STALE, None)
        device = compute.current().device
        try:
            import laion_clap
            from laion_clap.training import data

            module = laion_clap.CLAP_Module(enable_fusion=self.fusion, device=device, amodel=self.architecture)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            lines = str(error).strip().splitlines() or [repr(error)]
            raise Unavailable(
                f"laion_clap can't make {self.architecture} ({lines[0][:300]}); it needs numpy < 2, a torchvision "
                "built with this torch, and `hf download roberta-base`"
            ) from error
        if self.fusion and getattr(data, "torchaudio", None) is None:
            raise Unavailable(
                "laion_clap: fusion: true needs torchaudio: python -m pip install torchaudio, built for this torch"
            )
        model = module.model
        checkpoints.fill(model, tensors, self.checkpoint)
        parameters = parameter_count(model)
        compute.ready(model, self.precision)

        def tokens(texts: Sequence[str]) -> Tensor:
            """The library's numbers plus one, 0 for padding; it fills rows up to 77 and masks what it has filled."""
            if not texts:
                return torch.zeros(0, 1, dtype=torch.int64)
            found = module.tokenize(
                list(texts), padding="longest", truncation=True, max_length=WORDS, return_tensors="pt"
            )
            return (found["input_ids"] + 1).masked_fill(found["attention_mask"] == 0, 0)

        def text(rows: Tensor) -> Tensor:
            mask = rows != 0
            numbers = torch.where(mask, rows - 1, module.tokenize.pad_token_id)
            return model.get_text_embedding({"input_ids": numbers, "attention_mask": mask.long()})

        def media(sounds: list[Waveform]) -> Tensor:
            config = module.model_cfg["audio_cfg"]
            return model.get_audio_embedding([self._features(each, data.get_audio_features, config) for each in sounds])

        with torch.inference_mode():
            dim = text(tokens(["a"]).to(device)).shape[-1]
        return Towers(dim, parameters, tokens, text, media)

    def _features(self, sound: Waveform, features: Any, config: Any) -> dict[str, Tensor]:
        """Of each sound alone: the library cuts long ones at random."""
        samples = resampled(sound, RATE)
        if not self.fusion:
            samples = middle(samples, LONGEST)
        samples = (samples.clip(-1, 1) * 32767).astype(np.int16).astype(np.float32) / 32767  # 16 bits, as in training
        state = np.random.get_state()
        try:
            np.random.seed(0)
            return features(
                {},
                torch.from_numpy(samples),
                LONGEST,
                data_truncating="fusion" if self.fusion else "rand_trunc",
                data_filling="repeatpad",
                audio_cfg=config,
            )
        finally:
            np.random.set_state(state)

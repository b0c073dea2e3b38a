"""The `sentence_transformers` encoder: texts by a sentence encoder, media by another encoder.

`checkpoint` is a folder or a hub id in the layout of sentence-transformers (a table of token vectors, StaticEmbedding,
among them), or a plain checkpoint of transformers, with `pooling`. `media` is the encoder of the media in the same
space: `{kind: precomputed, media: FILE}`, or CLIP where the sentence encoder was trained towards CLIP's images. The
package sentence-transformers itself isn't needed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.encoders.pretrained import PretrainedEncoder, Towers
from baselines.encoders.settings import SentencesSettings
from baselines.encoders.static_text import KIND as STATIC
from baselines.encoders.static_text import StaticText
from harness.contract.dataset import Contents, Modality, Pairs
from harness.contract.instruments import Encoder, TokenEncoder
from harness.contract.problems import BadInput
from harness.machine import compute
from harness.nn import checkpoints
from harness.nn.layers import masked_mean, parameter_count

PAD = 0
Pooling = Literal["mean", "cls", "last", "max"]
POOLINGS: dict[str, Pooling] = {  # what sentence-transformers calls them
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
    "pooling_mode_max_tokens": "max",
}
ACTIVATIONS = {"Identity": nn.Identity, "Tanh": nn.Tanh, "ReLU": nn.ReLU, "GELU": nn.GELU}


class SentenceEncoder(PretrainedEncoder):
    modalities: tuple[Modality, ...] = ("text", "image", "audio", "video")

    def __init__(self, settings: SentencesSettings, media: Encoder | None = None) -> None:
        super().__init__(settings.precision)
        self.checkpoint, self.pooling, self.prompt = settings.checkpoint, settings.pooling, settings.prompt
        self.media = media

    def _load(self) -> Towers:
        text = self._table() if _is_table(_modules(self.checkpoint)) else self._tower()
        parameters = parameter_count(text)
        compute.ready(text, self.precision)
        return Towers(text.dim, parameters, text.tokens, text, self._nothing, text.states)

    @staticmethod
    def _nothing(things: list[Any]) -> Tensor:
        raise NotImplementedError("media go to the encoder that `media` names")

    def fit(self, train: Pairs, validation: Pairs) -> None:
        super().fit(train, validation)
        if self.media is not None and self.media.dim != self.dim:
            raise BadInput(
                f"{self.checkpoint} makes vectors of dimension {self.dim}, and its `media` has {self.media.dim}: they "
                "share no space; name the media's vectors that belong to it"
            )

    def encode(self, contents: Contents) -> np.ndarray:
        return super().encode(contents) if contents.modality == "text" else self._other(contents).encode(contents)

    def embed(self, contents: Contents) -> np.ndarray:
        return super().embed(contents) if contents.modality == "text" else self._other(contents).embed(contents)

    def tokens(self, contents: Contents) -> tuple[np.ndarray, np.ndarray]:
        if contents.modality == "text":
            return super().tokens(contents)
        media = self._other(contents)
        if not isinstance(media, TokenEncoder):
            raise BadInput(f"{type(media).__name__} has vectors of {contents.modality} alone: use another encoder")
        return media.tokens(contents)

    def _other(self, contents: Contents) -> Encoder:
        if self.media is None:
            raise BadInput(
                f"{self.checkpoint} encodes text alone, and {contents.modality} is asked for; name what encodes that, "
                "for instance media: {kind: precomputed, media: vectors.npz}"
            )
        return self.media

    def text_tower(self) -> SentenceText:
        if _is_table(_modules(self.checkpoint)):
            raise NotImplementedError("a table of token vectors stays as it is: a map after it is what can be learnt")
        return self._tower()

    def _tower(self) -> SentenceText:
        return SentenceText(self.checkpoint, self.pooling, self.prompt)

    def _table(self) -> StaticText:
        (_, path), *others = _modules(self.checkpoint)
        kinds = [STATIC, *(kind for kind, _ in others)]
        if set(kinds[1:]) - {"Normalize"}:
            raise BadInput(
                f"{self.checkpoint}: modules.json has {', '.join(kinds)}; expected {STATIC} and then at most "
                "Normalize; name another checkpoint"
            )
        return StaticText(self.checkpoint, path, _prompt(self.checkpoint) if self.prompt is None else self.prompt)


class SentenceText(nn.Module):
    """A `harness.contract.TextTower`. Its tokens are the checkpoint's plus one: 0 is free for padding."""

    def __init__(self, checkpoint: Path, pooling: Pooling | None, prompt: str | None) -> None:
        super().__init__()
        inside = _modules(checkpoint)
        kinds = [kind for kind, _ in inside]
        if kinds and (kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Dense", "Normalize"}):
            raise BadInput(
                f"{checkpoint}: modules.json has {', '.join(kinds)}; expected Transformer, Pooling, and then at most "
                "Dense and Normalize; name another checkpoint"
            )
        place = checkpoint / inside[0][1] if inside and inside[0][1] else checkpoint
        config = checkpoints.part("AutoConfig", place)
        whole = config.model_type not in ("t5", "mt5", "umt5")  # of those the encoder alone
        self.model = checkpoints.model("AutoModel" if whole else "AutoModelForTextEncoding", place)
        self.tokenizer = checkpoints.part("AutoTokenizer", place)
        self.tokenizer.padding_side = "right"
        self.layers, self.width = config.num_hidden_layers, config.hidden_size
        self.padding = next(
            (each for each in (self.tokenizer.pad_token_id, config.pad_token_id) if each is not None), 0
        )
        limits = _settings(place, "sentence_bert_config.json") or {}
        places = getattr(config, "max_position_embeddings", 514) - 2  # RoBERTa's count from 2 on
        self.longest = limits.get("max_seq_length") or min(self.tokenizer.model_max_length, places)
        self.lower = bool(limits.get("do_lower_case"))
        self.prompt = _prompt(checkpoint) if prompt is None else prompt
        self.pooling = pooling or _pooling(checkpoint, inside[1][1] if inside else None)
        parts = [_dense(checkpoint, path) if kind == "Dense" else Normalize() for kind, path in inside[2:]]
        self.after = nn.Sequential(*parts)
        linear = [part for part in self.after.modules() if isinstance(part, nn.Linear)]
        self.dim = linear[-1].out_features if linear else self.width

    def tokens(self, texts: Sequence[str]) -> Tensor:
        if not texts:
            return torch.zeros(0, 1, dtype=torch.int64)
        asked = [self.prompt + (text.lower() if self.lower else text) for text in texts]
        self.tokenizer.pad_token = self.tokenizer.pad_token or self.tokenizer.eos_token  # decoders may have none
        found = self.tokenizer(asked, padding=True, truncation=True, max_length=self.longest, return_tensors="pt")
        return (found["input_ids"] + 1).masked_fill(found["attention_mask"] == 0, PAD)

    def _run(self, tokens: Tensor, inside: bool = False) -> tuple[Any, Tensor]:
        mask = tokens != PAD
        mask[:, 0] = True  # a text without a token is read as its first padding: attention over nothing would be NaN
        numbers = torch.where(tokens == PAD, self.padding, tokens - 1)
        return self.model(input_ids=numbers, attention_mask=mask.long(), output_hidden_states=inside), mask

    def forward(self, tokens: Tensor) -> Tensor:  # (n, length) → (n, dim)
        found, mask = self._run(tokens)
        return self._pooled(found.last_hidden_state, mask)

    def states(self, tokens: Tensor) -> Tensor:  # (n, length) → (n, length, width)
        return self._run(tokens)[0].last_hidden_state

    def layered(self, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
        found, mask = self._run(tokens, inside=True)
        return list(found.hidden_states[-self.layers :]), self._pooled(found.last_hidden_state, mask)

    def _pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "mean":
            pooled = masked_mean(states, mask)
        elif self.pooling == "max":
            pooled = states.masked_fill(~mask[:, :, None], -torch.inf).amax(1)
        else:
            at = mask.sum(1) - 1 if self.pooling == "last" else torch.zeros_like(mask.sum(1))
            pooled = states[torch.arange(len(states), device=states.device), at]
        return F.normalize(self.after(pooled).float(), dim=-1)


class Normalize(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1)


def _modules(checkpoint: Path) -> list[tuple[str, str]]:
    """What the checkpoint is made of, by sentence-transformers' names, each with its folder; empty for a plain one."""
    inside = _settings(checkpoint, "modules.json") or []
    return [(str(each["type"]).rpartition(".")[2], each["path"]) for each in inside]


def _is_table(modules: list[tuple[str, str]]) -> bool:
    return bool(modules) and modules[0][0] == STATIC


def _settings(checkpoint: Path, name: str) -> Any:
    path = checkpoints.file(checkpoint, name)
    try:
        return json.loads(path.read_text()) if path else None
    except ValueError as error:
        raise BadInput(f"{path} is no JSON ({error}); fetch the checkpoint again") from error


def _prompt(checkpoint: Path) -> str:
    """The checkpoint's default prompt, which goes in front of every text."""
    config = _settings(checkpoint, "config_sentence_transformers.json") or {}
    return (config.get("prompts") or {}).get(config.get("default_prompt_name"), "")


def _pooling(checkpoint: Path, path: str | None) -> Pooling:
    if path is None:
        raise BadInput(
            f"{checkpoint} has no modules.json, which would say how its states become a vector; write `pooling: mean`, "
            "or cls, last or max, whichever its makers use"
        )
    config = _settings(checkpoint, f"{path}/config.json") or {}
    modes = [mode for mode, on in config.items() if mode.startswith("pooling_mode") and on is True]
    named = [POOLINGS.get(mode, mode) for mode in modes]
    if isinstance(config.get("pooling_mode"), str):
        named = [config["pooling_mode"]]
    if len(named) != 1 or named[0] not in POOLINGS.values():
        raise BadInput(
            f"{checkpoint}: {path}/config.json pools by {' and '.join(map(str, named)) or 'nothing'}; expected one of "
            f"{', '.join(POOLINGS.values())}; name another checkpoint"
        )
    return named[0]


def _dense(checkpoint: Path, path: str) -> nn.Module:
    config = _settings(checkpoint, f"{path}/config.json") or {}
    activation = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
    names = ("model.safetensors", "pytorch_model.bin")
    weights = next((found for name in names if (found := checkpoints.file(checkpoint, f"{path}/{name}"))), None)
    if weights is None or activation not in ACTIVATIONS:
        raise BadInput(
            f"{checkpoint}: {path} needs {' or '.join(names)}, and one of {', '.join(ACTIVATIONS)}, not {activation}; "
            "fetch the checkpoint again, or name another one"
        )
    tensors = checkpoints.weights(weights)
    rows, columns = tensors["linear.weight"].shape
    linear = nn.Linear(columns, rows, bias="linear.bias" in tensors)
    checkpoints.fill(linear, {name.removeprefix("linear."): tensor for name, tensor in tensors.items()}, weights)
    return nn.Sequential(linear, ACTIVATIONS[activation]())

"""The `open_clip` encoder: any architecture of open_clip with one of its pretrained tags or a file of weights.

`pretrained` may also be a folder with open_clip_config.json and weights beside it, or hf-hub:org/name; then no
architecture is named. These and tags say how pictures are prepared; for a file of weights it is as for OpenAI's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from baselines.encoders import packed_attention
from baselines.encoders.pretrained import PretrainedEncoder, Towers
from baselines.encoders.settings import OpenClipSettings
from harness.contract.dataset import Unavailable
from harness.contract.problems import BadInput
from harness.machine import compute
from harness.nn import checkpoints
from harness.nn.layers import parameter_count

INSTALL = "python -m pip install 'open_clip_torch>=2.24,<4' torchvision"
WEIGHTS = ("open_clip_model.safetensors", "*.safetensors", "*.pt", "*.pth", "*.bin")  # in a folder, best first


class OpenClipEncoder(PretrainedEncoder):
    modalities = ("text", "image", "video")

    def __init__(self, settings: OpenClipSettings) -> None:
        super().__init__(settings.precision, settings.frames)
        self.pretrained, self.architecture = settings.pretrained, settings.architecture

    def _load(self) -> Towers:
        library = _library()
        from open_clip import transform

        name, weights, known = self._found(library)
        quick = bool(known.get("quick_gelu", False))
        try:
            with _silence():  # it says that it loads no weights: we do
                model = library.create_model(
                    name,
                    load_weights=False,
                    pretrained_text=False,
                    force_quick_gelu=quick,
                    force_preprocess_cfg=known,  # its mean, std, interpolation and resize mode
                )
            tokenizer = library.get_tokenizer(name)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"open_clip can't make {name} ({_first_line(error)}); correct its config") from error
        _fill(model, weights, library)
        parameters = parameter_count(model)
        preprocess = transform.image_transform_v2(
            transform.PreprocessCfg(**model.visual.preprocess_cfg), is_train=False
        )
        packed_attention.pack(compute.ready(model, self.precision), self.precision)
        text = _Short(model, tokenizer) if _shortens(model, library) else _Whole(model, tokenizer)
        with torch.inference_mode():
            dim = text(text.tokens(["a"]).to(compute.current().device)).shape[-1]

        def media(pictures: list[Any]) -> Tensor:
            pixels = torch.stack([preprocess(picture) for picture in pictures])
            return model.encode_image(pixels.to(compute.current().device))

        return Towers(dim, parameters, text.tokens, text, media)

    def _found(self, library: Any) -> tuple[str, Path, dict[str, Any]]:
        """The model's name for the library, the file of its weights, and what the library knows of a tag: how pictures
        are prepared, and whether the weights want OpenAI's quick GELU.
        """
        place = self.pretrained
        if place.is_dir():
            inside = [path for pattern in WEIGHTS for path in sorted(place.glob(pattern))]
            if not inside or not (place / "open_clip_config.json").is_file():
                raise Unavailable(f"open_clip: {place} lacks open_clip_config.json or {WEIGHTS[0]}; fetch both")
            return f"local-dir:{place}", inside[0], {}
        if str(place).startswith("hf-hub:"):
            return str(place), self._fetched({"hf_hub": str(place).removeprefix("hf-hub:") + "/"}), {}
        if self.architecture is None or self.architecture not in library.list_models():
            raise BadInput(
                f"open_clip knows no architecture {self.architecture!r}; name the one that the weights {place} are of, "
                "ViT-B-32 say: open_clip.list_models() has them all"
            )
        if place.is_file():
            return self.architecture, place, {}
        from open_clip import pretrained

        known = pretrained.get_pretrained_cfg(self.architecture, str(place))
        if not known:
            tags = ", ".join(library.list_pretrained_tags_by_model(self.architecture)) or "none"
            raise Unavailable(f"open_clip: {place} is no file and no tag of {self.architecture}; its tags: {tags}")
        return self.architecture, self._fetched(known), known

    def _fetched(self, known: dict[str, Any]) -> Path:
        """The file of weights, from the hub's cache or the hub."""
        from open_clip import pretrained

        try:
            return Path(pretrained.download_pretrained(known))
        except Exception as error:  # whatever a network may do
            hub = str(known.get("hf_hub", "")).rpartition("/")[0]
            how = f"`hf download {hub}` fetches it" if hub else f"put {known.get('url')} into ~/.cache/clip"
            raise Unavailable(
                f"open_clip: {self.architecture or ''} {self.pretrained} is not here and can't be fetched "
                f"({_first_line(error)}); {how} where there is a network"
            ) from error


class _Whole:
    """A text side whose rows keep their length: it attends to their padding."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """The library's numbers plus one: 0 is free for padding, and here there is none."""
        return self.tokenizer(list(texts)) + 1 if texts else torch.zeros(0, 1, dtype=torch.int64)

    def __call__(self, tokens: Tensor) -> Tensor:
        return self.model.encode_text(tokens - 1)


class _Short(_Whole):
    """A causal text side, whose rows are cut after the last word: what follows changes nothing before it."""

    def tokens(self, texts: Sequence[str]) -> Tensor:
        numbers = super().tokens(texts)
        if self.model.text_pool_type == "eos":
            ends = (numbers - 1 == self.model.text_eos_id).int().argmax(dim=1)
        else:
            ends = numbers.argmax(dim=1)
        return numbers.masked_fill(torch.arange(numbers.shape[1]) > ends[:, None], 0)

    def __call__(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        places = {
            "positional_embedding": self.model.positional_embedding[:length],
            "attn_mask": self.model.attn_mask[:length, :length],
        }
        found = functional_call(self.model, places, kwargs={"text": (tokens - 1).clamp(min=0)})
        return found["text_features"] if isinstance(found, dict) else found[1]


def _shortens(model: Any, library: Any) -> bool:
    """Whether attention is causal and the text's vector is the state of its last token."""
    causal = isinstance(model, library.CLIP) and model.attn_mask is not None
    return causal and model.text_pool_type in ("argmax", "eos")


def _fill(model: Any, path: Path, library: Any) -> None:
    """The library knows older spellings of weights; reading them, and whether they fit, is ours."""
    from open_clip import factory
    from open_clip import model as models

    if path.suffix in (".npz", ".npy"):
        raise BadInput(f"{path}: weights of big_vision are read by open_clip's tags alone; name a .safetensors file")
    tensors = factory.convert_state_dict(model, checkpoints.weights(path))
    if "positional_embedding" in tensors and not hasattr(model, "positional_embedding"):
        tensors = models.convert_to_custom_text_state_dict(tensors)
    tensors.pop("text.transformer.embeddings.position_ids", None)
    for name in ("logit_scale", "logit_bias"):  # a number, or a row of one
        if name in tensors and getattr(model, name, None) is not None:
            tensors[name] = tensors[name].reshape(getattr(model, name).shape)
    checkpoints.fill(model, tensors, path)


def _library() -> Any:
    try:
        import open_clip
    except ImportError as error:
        raise Unavailable(f"open_clip can't be imported ({error}): {INSTALL}") from error
    except RuntimeError as error:
        raise Unavailable(
            f"open_clip can't be imported ({_first_line(error)}): torch and torchvision were built apart, for a CPU "
            "and for CUDA; install both from the same place"
        ) from error
    return open_clip


@contextmanager
def _silence() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [repr(error)]
    return lines[0][:300]

"""Tiny checkpoints of pretrained single towers, of random weights, in folders that live as long as the tests."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "the", "red", "blue", "circle", "square", "above", "left"]
FOLDERS = tempfile.TemporaryDirectory(prefix="judges-")
SIZE: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": 0.5,  # scores that differ
}


@cache
def judge(kind: str) -> Path:
    """A folder as `save_pretrained` leaves it."""
    import torch
    from transformers import BertTokenizerFast

    folder = Path(FOLDERS.name) / kind
    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        {"blip": _blip, "vilt": _vilt}[kind](folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=24).save_pretrained(folder)
    return folder


def _blip(folder: Path) -> None:
    from transformers import (
        BlipConfig,
        BlipForImageTextRetrieval,
        BlipImageProcessor,
        BlipTextConfig,
        BlipVisionConfig,
    )

    marks = {"bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    text = BlipTextConfig(
        vocab_size=len(WORDS), encoder_hidden_size=16, projection_dim=16, max_position_embeddings=32, **marks, **SIZE
    )
    vision = BlipVisionConfig(image_size=16, patch_size=8, projection_dim=16, **SIZE)
    both = BlipConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16)
    BlipForImageTextRetrieval(both).save_pretrained(folder)
    BlipImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)


def _vilt(folder: Path) -> None:
    from transformers import ViltConfig, ViltForImageAndTextRetrieval, ViltImageProcessor

    config = ViltConfig(
        vocab_size=len(WORDS),
        image_size=16,
        patch_size=8,
        max_position_embeddings=32,
        modality_type_vocab_size=2,
        **SIZE,
    )
    ViltForImageAndTextRetrieval(config).save_pretrained(folder)
    ViltImageProcessor(size={"shortest_edge": 16}, size_divisor=8).save_pretrained(folder)

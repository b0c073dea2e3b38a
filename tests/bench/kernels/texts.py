"""The text side of the small encoder: words to numbers, numbers to a vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn

from baselines.encoders.towers import TextTower
from harness.machine import compute
from harness.nn import batching
from harness.nn.layers import masked_mean
from harness.nn.words import PAD, START, UNKNOWN, WORD, Vocabulary
from kernels import Kernel

WIDTH, LAYERS, DIM, LONGEST = 192, 2, 256, 20


def captions(count: int) -> list[str]:
    rng = np.random.default_rng(0)
    known = ["".join(rng.choice(list("abcdefghij"), rng.integers(2, 9))) for _ in range(1_500)]
    return [" ".join(rng.choice(known, rng.integers(6, 17))) for _ in range(count)]


def tokens() -> Kernel:
    texts = captions(5_000)
    vocabulary = Vocabulary.learn(texts, longest=LONGEST)
    numbers = {"[PAD]": PAD, "[START]": START, "[UNK]": UNKNOWN}
    numbers |= {word: number for number, word in enumerate(vocabulary.words, len(numbers))}
    theirs = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    theirs.normalizer = normalizers.Lowercase()
    theirs.pre_tokenizer = pre_tokenizers.Split(Regex(WORD.pattern), "removed", invert=True)
    theirs.post_processor = processors.TemplateProcessing("[START] $A", special_tokens=[("[START]", START)])
    theirs.enable_truncation(LONGEST)
    theirs.enable_padding(pad_id=PAD, pad_token="[PAD]")
    return Kernel(
        "tokens of 5,000 captions",
        lambda: vocabulary.batch(texts),
        "tokenizers (WordLevel)",
        lambda: torch.tensor([each.ids for each in theirs.encode_batch(texts)]),
        torch.equal,
        "one regular expression and a dict; the rival also keeps where each token stood",
    )


class Usual(nn.Module):
    """The same text tower of PyTorch's own layers, with the same weights."""

    def __init__(self, ours: TextTower) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            WIDTH, WIDTH // 48, 2 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.words, self.places, self.norm, self.out = ours.words, ours.places, ours.norm, ours.out
        for block, mine in zip(ours.blocks, self.layers.layers, strict=True):
            self._copy(block, mine)
        self.eval().requires_grad_(False)

    @staticmethod
    def _copy(block: Any, mine: Any) -> None:
        attention = block.attention
        mine.self_attn.in_proj_weight.data = torch.cat([attention.query.weight, attention.keyvalue.weight]).detach()
        mine.self_attn.in_proj_bias.data = torch.cat([attention.query.bias, attention.keyvalue.bias]).detach()
        mine.self_attn.out_proj, mine.norm1, mine.norm2 = attention.out, block.norm, block.feed_norm
        mine.linear1, mine.linear2 = block.feed[0], block.feed[2]

    def forward(self, tokens: Tensor) -> Tensor:
        empty = tokens == PAD
        states = self.layers(self.words(tokens) + self.places[: tokens.shape[1]], src_key_padding_mask=empty)
        return F.normalize(self.out(masked_mean(self.norm(states), ~empty)), dim=-1)


def _encode(count: int) -> Kernel:
    texts = captions(count)
    vocabulary = Vocabulary.learn(captions(5_000), longest=LONGEST)
    rows = vocabulary.batch(texts)
    torch.manual_seed(0)
    tower = TextTower(len(vocabulary), LONGEST, DIM)
    usual = Usual(tower)
    packed: Any = compute.ready(tower)

    def run(encode: Callable[[], Tensor]) -> Tensor:
        with torch.inference_mode():
            return encode()

    return Kernel(
        f"text tower, {count} captions",
        lambda: run(lambda: batching.encode(packed, rows, "cpu", 512)),
        "torch.nn.TransformerEncoder with the same weights (its fused path)",
        lambda: run(lambda: usual(rows)),
        lambda ours, theirs: torch.allclose(ours, theirs, atol=1e-4),
        "the rival is one fused call a layer; ours has the linear layers that all contestants share",
    )


def encode_one() -> Kernel:
    return _encode(1)


def encode_many() -> Kernel:
    return _encode(128)


KERNELS = (tokens, encode_one, encode_many)

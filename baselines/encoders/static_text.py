"""Texts as the mean of their tokens' vectors: sentence-transformers' StaticEmbedding, and model2vec's checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from harness.contract.problems import BadInput
from harness.nn import checkpoints
from harness.nn.layers import masked_mean
from harness.nn.words import pad

KIND = "StaticEmbedding"
NAMES = ("embedding.weight", "embeddings")  # of the table, in the files of either library


class StaticText(nn.Module):
    """Its tokens are the checkpoint's plus one: 0 is free for padding."""

    def __init__(self, checkpoint: Path, path: str, prompt: str) -> None:
        super().__init__()
        from tokenizers import Tokenizer

        files = {}
        for name in ("model.safetensors", "tokenizer.json"):
            found = checkpoints.file(checkpoint, f"{path}/{name}" if path else name)
            if found is None:
                raise BadInput(
                    f"{checkpoint}: {path or 'it'} needs {name} beside its table; fetch the checkpoint again"
                )
            files[name] = found
        tensors = checkpoints.weights(files["model.safetensors"])
        table = next((tensors[name] for name in NAMES if name in tensors), None)
        if table is None or table.ndim != 2:
            raise BadInput(
                f"{files['model.safetensors']} has {', '.join(sorted(tensors)[:5])}; expected a table of vectors named "
                f"{' or '.join(NAMES)}; name another checkpoint"
            )
        self.table = nn.Embedding.from_pretrained(table.float(), freeze=True)
        self.tokenizer = Tokenizer.from_file(str(files["tokenizer.json"]))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.prompt, self.dim = prompt, table.shape[1]

    def tokens(self, texts: Sequence[str]) -> Tensor:
        found = self.tokenizer.encode_batch([self.prompt + text for text in texts], add_special_tokens=False)
        return pad([[number + 1 for number in each.ids] for each in found])

    def states(self, tokens: Tensor) -> Tensor:  # (n, length) → (n, length, dim)
        return self.table((tokens - 1).clamp(min=0))

    def forward(self, tokens: Tensor) -> Tensor:  # (n, length) → (n, dim)
        mask = tokens != 0
        mask[:, 0] = True  # a text without a token is read as the first of all
        return F.normalize(masked_mean(self.states(tokens), mask).float(), dim=-1)

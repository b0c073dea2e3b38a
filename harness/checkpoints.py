"""Checkpoints of `transformers`: from a folder or the hub's cache, weights from safetensors only, none of their code.

Called by whoever wraps one; what can't be had comes out as `Unavailable`, with what to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.dataset import Unavailable


def part(kind: str, checkpoint: Path) -> Any:
    """Its tokenizer, image processor or config: `kind` names a class of transformers, such as AutoTokenizer."""
    return _from_pretrained(kind, checkpoint)


def model(kind: str, checkpoint: Path, pooled: bool = False) -> Any:
    """A module of a class such as AutoModelForTextEncoding, with all of its weights; its pooler's if it is `pooled`."""
    found, told = _from_pretrained(kind, checkpoint, use_safetensors=True, output_loading_info=True)
    absent = sorted(name for name in told["missing_keys"] if pooled or "pooler" not in name)
    if absent:
        raise Unavailable(
            f"{checkpoint}: as {type(found).__name__} it lacks {len(absent)} weights ({', '.join(absent[:3])}, …), and "
            "chance would stand in for them; name a checkpoint that was made for this"
        )
    return found


def _from_pretrained(kind: str, checkpoint: Path, **settings: Any) -> Any:
    import transformers
    from safetensors import SafetensorError

    name, _, revision = checkpoint.as_posix().partition("@")  # a hub id may name its revision: org/name@revision
    if checkpoint.exists():
        name, revision = str(checkpoint), ""
    if revision:
        settings["revision"] = revision
    try:
        return getattr(transformers, kind).from_pretrained(name, trust_remote_code=False, **settings)
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        lines = str(error).strip().splitlines() or [repr(error)]
        raise Unavailable(
            f"{checkpoint}: {kind} can't load it ({lines[0]}); name a folder with config.json, model.safetensors and "
            f"the tokenizer's files, or a hub id whose files are here: `hf download {name}` fetches them where there "
            "is a network"
        ) from error

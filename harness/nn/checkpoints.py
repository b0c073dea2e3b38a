"""Checkpoints: those of `transformers`, from a folder or the hub's cache, and files of weights. None of their code.

What isn't here raises `Unavailable`, what is damaged or made for something else `BadInput`; both say what to do.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contract.dataset import Unavailable
from harness.contract.problems import BadInput
from harness.machine import compute
from harness.machine.compute import Precision

if TYPE_CHECKING:
    import torch


def part(kind: str, checkpoint: Path) -> Any:
    """Its tokenizer, image processor or config: `kind` names a class of transformers, such as AutoTokenizer."""
    return _from_pretrained(kind, checkpoint)


def model(kind: str, checkpoint: Path, unasked: Sequence[str] = ("pooler",)) -> Any:
    """A module of a class such as AutoModelForTextEncoding; all its weights must be there, except `unasked` ones.

    From .safetensors, or .bin, as CLAP and BLIP have on the hub: of that pickle only tensors are read.
    """
    found, report = _from_pretrained(
        kind, checkpoint, weights_only=True, output_loading_info=True, ignore_mismatched_sizes=True
    )
    for name, here, wanted in report["mismatched_keys"]:
        raise BadInput(
            f"{checkpoint}: {name} has the shape {tuple(here)} in its weights, and {tuple(wanted)} by its config.json; "
            "they don't belong together: fetch the checkpoint again"
        )
    absent = sorted(name for name in report["missing_keys"] if not any(word in name for word in unasked))
    if absent:
        raise BadInput(
            f"{checkpoint}: as {type(found).__name__} it lacks {len(absent)} weights ({', '.join(absent[:3])}, …), and "
            "chance would stand in for them; name a checkpoint that was made for this"
        )
    return found


def require(precision: Precision) -> None:
    if not compute.knows(precision):
        raise Unavailable(f"precision: {precision}: this device has none; write `precision: fp32`")


def file(checkpoint: Path, name: str) -> Path | None:
    """One of its files, where it has that: from the folder, or from the hub's cache."""
    if checkpoint.exists():
        return checkpoint / name if (checkpoint / name).is_file() else None
    from huggingface_hub import try_to_load_from_cache

    hub, _, revision = checkpoint.as_posix().partition("@")
    found = try_to_load_from_cache(hub, name, revision=revision or None) if hub.count("/") < 2 else None
    return Path(found) if isinstance(found, str) else None


def _from_pretrained(kind: str, checkpoint: Path, **settings: Any) -> Any:
    import transformers
    from safetensors import SafetensorError

    name, _, revision = checkpoint.as_posix().partition("@")  # a hub id may name its revision: org/name@revision
    if checkpoint.exists():
        name, revision = str(checkpoint), ""
    if revision:
        settings["revision"] = revision
    try:
        found = getattr(transformers, kind)
        return found.from_pretrained(name, trust_remote_code=False, local_files_only=True, **settings)
    except (OSError, ValueError, ImportError, SafetensorError, pickle.UnpicklingError, EOFError) as error:
        lines = str(error).strip().splitlines() or [repr(error)]
        damaged = checkpoint.exists() and not isinstance(error, ImportError) and "no file named" not in lines[0]
        if isinstance(error, pickle.UnpicklingError):
            raise BadInput(f"{checkpoint}: no weights can be read from its .bin file; {_advice(error)}") from error
        raise (BadInput if damaged else Unavailable)(
            f"{checkpoint}: {kind} can't load it ({lines[0]}); name a folder with config.json, model.safetensors and "
            f"the tokenizer's files, or a hub id whose files are here: `python -m harness weights get {name}` fetches "
            "them where there is a network"
        ) from error


def weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file, by name. Of pickles, only plain tensors and numbers are read, so that nothing can run."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_numbers()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is read all the same, or an error below
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise (BadInput if path.exists() else Unavailable)(
            f"{path}: no weights can be read from it ({_cause(error)}); {_advice(error)}"
        ) from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):  # a training run's checkpoint
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(each, torch.Tensor) for each in found.values()):
        raise BadInput(f"{path} holds no tensors by name, but {type(found).__name__}; name a file of weights")
    return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}


def fill(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Put weights in their places, all of them, or say which don't fit."""
    own = module.state_dict()
    absent, surplus = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    other = [name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape]
    for wrong, words in (
        (other, "have another shape"),
        (absent, "are missing"),
        (surplus, "are unknown"),
    ):
        if wrong:
            first = sorted(wrong)[0]
            shapes = f": {tuple(tensors[first].shape)}, expected {tuple(own[first].shape)}" if wrong is other else ""
            raise BadInput(
                f"{path} was made for another model: {len(wrong)} weights {words}, the first of them {first}{shapes}; "
                "name the architecture that it was made for"
            )
    module.load_state_dict(dict(tensors))


def _numbers() -> list[Any]:
    """The classes of numpy's pickled numbers, which training runs write beside their weights."""
    import numpy as np

    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)]
    scalar = np.float64(0).__reduce__()[0]
    # under all names that versions of numpy have written into files
    return [
        scalar,
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *kinds,
    ]


def _cause(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    unsupported = next((line for line in lines if "Unsupported global" in line), None)
    return (unsupported or lines[0])[:200]


def _advice(error: Exception) -> str:
    if "TorchScript" in str(error):
        return "it is a TorchScript program, which would be run: save its state_dict() as .safetensors and name that"
    if isinstance(error, pickle.UnpicklingError):
        return "it is damaged, or a pickle that holds more than weights, which is never run: name a .safetensors file"
    return "name a .safetensors or .pt file that is there and whole"

"""Checkpoints on the hub that suites name: licence, size, and whether the hub's cache on this machine has them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from harness.contract.dataset import Unavailable
from harness.data.check import Finding
from harness.machine import files
from harness.machine.hub import snapshot


class Source(NamedTuple):
    what: str
    licence: str
    size: str  # of what `get` fetches
    gflop: tuple[float, float] = (0.0, 0.0)  # of products for one thing (a picture, a frame, a sound) and one text
    dim: int = 0  # of its vectors
    memory_mb: float = 0.0  # of its weights in float32


# Of the checkpoints that suites/ names. Others are fetched as well; their licence stands on the hub.
SOURCES: Mapping[str, Source] = {
    "openai/clip-vit-base-patch32": Source(
        "CLIP ViT-B/32 of OpenAI", "MIT (OpenAI's repository)", "605 MB", (8.8, 5.9), 512, 605
    ),
    "timm/vit_base_patch32_clip_224.openai": Source(
        "the same for open_clip", "Apache 2.0", "605 MB", (8.8, 5.9), 512, 605
    ),
    "google/siglip-base-patch16-224": Source("SigLIP ViT-B/16", "Apache 2.0", "813 MB", (35.1, 11.0), 768, 813),
    "laion/clap-htsat-unfused": Source("CLAP of LAION", "Apache 2.0", "615 MB", (11.6, 13.1), 512, 615),
    "Salesforce/blip-itm-base-coco": Source("BLIP, image-text matching", "BSD 3-clause", "about 0.9 GB"),
    "google-t5/t5-small": Source("T5 small, a text side of CART", "Apache 2.0", "242 MB"),
}
MODELS = ("*.safetensors", "*.bin")  # weights of torch, the better form first: the hub often has several
OTHERS = ("*.json", "*.txt", "*.model")  # configuration, tokenizers
NOT_MODELS = ("training_args.bin", "optimizer.bin")
SHA256 = re.compile("[0-9a-f]{64}")


def lacking(name: str) -> str | None:
    """What of a checkpoint is not here; None where it can be loaded."""
    folder = snapshot(name)
    if folder is None:
        return "is not on this machine"
    names = [path.name for path in folder.iterdir() if path.exists()]  # a link may lead to nothing
    if not any(each.endswith("config.json") for each in names):
        return "is here without its config.json"
    return None if _models(names) else "is here without its weights"


def wanted(names: Iterable[str]) -> set[str]:
    """Of a repository's files those that are of use: weights in one form, configuration and tokenizers."""
    names = [each for each in names if "/" not in each]
    models = _models(names)
    form = next((pattern for pattern in MODELS if any(fnmatch(each, pattern) for each in models)), "")
    others = [each for each in names if any(fnmatch(each, pattern) for pattern in OTHERS)]
    return {*(each for each in models if fnmatch(each, form)), *others}


def _models(names: Iterable[str]) -> list[str]:
    fine = [each for each in names if each not in NOT_MODELS]
    return [each for each in fine if any(fnmatch(each, pattern) for pattern in MODELS)]


def get(name: str) -> Path:
    """Fetch what is of use, through the hub's own client, which resumes; the folder that holds it."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    repository, _, revision = name.partition("@")
    try:
        names = HfApi().list_repo_files(repository, revision=revision or None)
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=sorted(wanted(names))))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise Unavailable(
            f"{name}: the hub doesn't give it ({type(error).__name__}; HF_HUB_OFFLINE keeps from trying); what was "
            "fetched is kept: run this again with a network, or correct the name"
        ) from error


def check(name: str) -> Iterator[Finding]:
    """Whether all of a checkpoint is here and whole: large files are kept under the digest that they must have."""
    problem = lacking(name)
    folder = snapshot(name)
    if problem or folder is None:
        raise Unavailable(f"{name} {problem}; `python -m harness weights get {name}` fetches it")
    yield Finding(f"revision {folder.name}: {folder}")
    for path in sorted(folder.iterdir()):
        if not path.exists():
            yield Finding(f"{path.name}: its link leads to nothing; fetch it again", True)
            continue
        kept = path.resolve().name
        if SHA256.fullmatch(kept):
            found = files.file_digest(path)
            said = f"{path.name}: {path.stat().st_size:,} bytes, sha256 {found}"
            yield Finding(said if found == kept else f"{said}, expected {kept}; fetch it again", found != kept)
        elif path.suffix == ".json" and not _reads(path):
            yield Finding(f"{path.name}: it isn't JSON; fetch it again", True)


def _reads(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True

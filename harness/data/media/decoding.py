"""One file, decoded or tried: what a worker does. Imports a decoder when the first file needs it."""

from __future__ import annotations

import hashlib
import importlib.util
import stat
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.contract.dataset import Unavailable
from harness.data.media.errors import Undecodable
from harness.data.media.job import Job, Verdict

VERSION = 1  # raise it whenever the same file comes out otherwise, or is judged otherwise
PACKAGES = {"image": "pillow", "audio": "soundfile", "video": "av"}
MODULES = {"image": "PIL", "audio": "soundfile", "video": "av"}
INSTALL = {"video": "pip install 'paradigm-harness[video]'"}


def require(modality: str) -> None:
    """Raise `Unavailable` where the decoder isn't installed: that is no fault of any file."""
    if modality in MODULES and importlib.util.find_spec(MODULES[modality]) is None:
        package = PACKAGES[modality]
        raise Unavailable(
            f"{modality} files need the package {package}: {INSTALL.get(modality, f'pip install {package}')}"
        )


@cache
def decoder(modality: str) -> str:
    """Names what shapes a file's content and its verdict."""
    try:
        return f"{modality} {VERSION} {PACKAGES[modality]} {version(PACKAGES[modality])}"
    except PackageNotFoundError:
        return f"{modality} {VERSION}"


def decode(job: Job) -> Any:
    """The content; or `Undecodable`, or the system's own error where a file can't be read at all."""
    _check_file(job.path)
    if job.modality == "image":
        from harness.data.media.image import image

        return image(job.path)
    if job.modality == "audio":
        from harness.data.media.sound import sound

        return sound(job.path, job.rate, job.longest_s)
    from harness.data.media.video import video

    return video(job.path, job.frames, job.longest_s)


def _check_file(path: Path) -> None:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise Undecodable("no file but a folder, a pipe or a device")
    if found.st_size == 0:
        raise Undecodable("the file is empty")


def attempt(job: Job) -> Verdict:
    """Decode a file completely and forget it."""
    if not job.path.is_file() and job.path.exists():  # opening a pipe would wait for a writer
        return Verdict("", "no file but a folder, a pipe or a device")
    with job.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        if job.modality == "video" and job.path.stat().st_size:
            from harness.data.media.video import check

            check(job.path, job.longest_s)
        decode(job)
    except Undecodable as error:
        return Verdict(digest, " ".join(str(error).split())[:300])
    return Verdict(digest, None)


def work(job: Job) -> Any:
    return attempt(job) if job.only_try else decode(job)

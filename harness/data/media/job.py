"""What a worker is asked to do with a file, and what it finds."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from harness.data.media.errors import Cause

LONGEST_S = 600.0


class Job(NamedTuple):
    """What to do with a file."""

    modality: str
    path: Path
    rate: int  # of sound
    frames: int  # of video
    only_try: bool = False  # decode all of it, hand back no more than a verdict
    longest_s: float = LONGEST_S  # of sound and video: a longer one is not decoded


class Verdict(NamedTuple):
    """What became of trying a file."""

    digest: str  # of its bytes
    why: str | None  # it can't be used; None: it can
    cause: Cause = "broken"

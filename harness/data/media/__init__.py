"""Image, sound and video files as contents: decoded when they are asked for, in workers when many are.

Called by the loaders of `harness.datasets`. `files` makes contents; `scan` knows beforehand which files are broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.contract.dataset import Contents, Modality
from harness.data.media.decoding import decode, decoder, require
from harness.data.media.errors import BrokenFile, Undecodable, described
from harness.data.media.job import LONGEST_S, Job

FEW = 8  # so few files are decoded faster without workers


@dataclass(frozen=True)
class Files:
    """Where the contents lie, and how they are wanted."""

    modality: Modality
    paths: Sequence[Path]
    rate: int
    frames: int
    longest_s: float = LONGEST_S

    def job(self, position: int, only_try: bool = False) -> Job:
        return Job(self.modality, Path(self.paths[position]), self.rate, self.frames, only_try, self.longest_s)

    def __call__(self, position: int) -> Any:
        require(self.modality)
        try:
            return decode(self.job(position))
        except (Undecodable, OSError) as error:
            raise _broken(self.paths[position], error) from error

    def stream(self, positions: np.ndarray) -> Iterator[Any]:
        """One after the other, while workers decode the next."""
        require(self.modality)
        if len(positions) <= FEW:
            yield from map(self, positions.tolist())
            return
        from harness.data.media import crew

        jobs = [self.job(position) for position in positions.tolist()]
        for job, answer in zip(jobs, crew.answers(jobs), strict=True):
            if answer.error is not None:
                raise _broken(job.path, answer.error)
            yield answer.value


def files(
    modality: Modality,
    paths: Sequence[Path],
    source: str,
    *,
    rate: int = 16_000,
    frames: int = 8,
    longest_s: float = LONGEST_S,
) -> Contents:
    """Contents of media files: sound at `rate`, so many `frames` of a video, none of them longer than `longest_s`.

    `source` must name the dataset, its version and its split; what is in the files comes into it with `screened`.
    """
    wanted = {"audio": f" rate {rate}", "video": f" frames {frames}"}.get(modality, "")
    every = Files(modality, tuple(map(Path, paths)), rate, frames, longest_s)
    positions = np.arange(len(paths))
    return Contents(modality, every, positions, f"{decoder(modality)}{wanted}:{source}", stream=every.stream)


def _broken(path: Path, error: Exception) -> BrokenFile:
    return BrokenFile(f"{path}: {described(error)[0]}; if it was changed since the run began, start the run again")

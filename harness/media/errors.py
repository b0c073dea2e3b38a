"""What goes wrong with media files, in one place for decoders, workers and whoever asks them."""

from __future__ import annotations

from harness.problems import BadInput


class Undecodable(Exception):
    """A file holds no image, sound or video that we can read whole; the message says why, without the file's name."""


class BrokenFile(BadInput):
    """A file that was needed can't be decoded; the message names it."""


class TooManyBroken(BadInput):
    """More of a dataset's files are broken than it allows."""

"""A run as data: a frame of its results, its answers in long form, and files for TREC's tools. Needs no model."""

from harness.results.answers import rankings
from harness.results.frames import FIELDS, Field, frame, read_frame
from harness.results.trec_files import trec

__all__ = ["FIELDS", "Field", "frame", "rankings", "read_frame", "trec"]

"""A video file as a few frames, evenly spread over its length: uint8 [T, H, W, 3]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.data.media.errors import Undecodable
from harness.data.media.job import LONGEST_S

MOST_PIXELS = 16_000_000  # of a frame
MOST_BYTES = 512_000_000  # of all the frames that are kept
FASTEST = 240  # frames a second, on average: more in all than that and it never ends
JUMP = 12.0  # seconds; what lies nearer is reached sooner by decoding on than by seeking
# A file may pose as a video and list others, near or far: no format that can, and nothing but files.
FORMATS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,flv,asf,ogg,gif"
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
SLACK = 0.05  # the share of its frames or of its length that a sound video may lack: edit lists, odd clocks


def video(path: Path, frames: int, longest_s: float = LONGEST_S) -> np.ndarray:
    """`frames` of them, each from the middle of its share of the length."""
    with _Opened(path) as container:
        stream = _stream(container)
        length = _length(container, stream, longest_s)
        if length is None:  # the file doesn't say: decode once to know
            length = _decoded(container, stream, longest_s)[1]
            container.seek(0)
        wanted = [(number + 0.5) * length / frames for number in range(frames)]
        picked = _picked(container, stream, wanted)
    height, width = picked[0].shape[:2]
    same = [frame for frame in picked if frame.shape == picked[0].shape]
    if len(same) < len(picked):
        raise Undecodable(f"its frames change their size from {width} × {height}")
    return np.stack(picked)


def check(path: Path, longest_s: float = LONGEST_S) -> None:
    """Decode every frame; raise `Undecodable` unless about as many are there as the file says."""
    with _Opened(path) as container:
        stream = _stream(container)
        declared, length = stream.frames, _length(container, stream, longest_s)
        count, end = _decoded(container, stream, longest_s)
    if declared and count < declared * (1 - SLACK) - 1:
        raise Undecodable(f"ends after {count:,} of {declared:,} frames")
    if length is not None and end < length * (1 - SLACK) - 1.0:
        raise Undecodable(f"ends after {end:.1f} of {length:.1f} s")


class _Opened:
    """The container, with every complaint of the decoders as `Undecodable`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.container: Any = None

    def __enter__(self) -> Any:
        import av

        try:
            self.container = av.open(f"file:{self.path.absolute()}", options=OPTIONS)
        except av.error.FFmpegError as error:
            if isinstance(error, FileNotFoundError | PermissionError | MemoryError):
                raise
            raise Undecodable(f"no video that is read here: {error.strerror}") from error
        return self.container

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import av

        self.container.close()
        if isinstance(error, av.error.FFmpegError) and not isinstance(error, MemoryError):
            raise Undecodable(f"{error.strerror}") from error


def _stream(container: Any) -> Any:
    if not container.streams.video:
        raise Undecodable("no video in it")
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # workers decode side by side already
    if stream.width * stream.height > MOST_PIXELS:
        raise Undecodable(f"{stream.width:,} × {stream.height:,} pixels; at most {MOST_PIXELS:,} are decoded")
    return stream


def _length(container: Any, stream: Any, longest_s: float) -> float | None:
    """Seconds of the video stream, as written in the file."""
    if stream.duration:
        length = float(stream.duration * stream.time_base)
    else:
        length = container.duration / 1e6 if container.duration else 0.0
    _check_length(length, longest_s)
    return length or None


def _check_length(seconds: float, longest_s: float) -> None:
    if seconds > longest_s:
        raise Undecodable(f"{seconds:,.0f} s of video; at most {longest_s:,.0f} s are decoded (`longest_s`)")


def _start(stream: Any) -> float:
    return float((stream.start_time or 0) * stream.time_base)


def _decoded(container: Any, stream: Any, longest_s: float) -> tuple[int, float]:
    """How many frames there are, and the second at which the last one ends."""
    count, end, first = 0, 0.0, _start(stream)
    pace = 1 / float(stream.average_rate) if stream.average_rate else 0.04
    for frame in container.decode(stream):
        count += 1
        end = max(end, (frame.time - first if frame.time is not None else count * pace) + pace)
        _check_length(max(end, count / FASTEST), longest_s)
    if not count:
        raise Undecodable("not one frame can be decoded")
    return count, end


def _picked(container: Any, stream: Any, wanted: list[float]) -> list[np.ndarray]:
    """The frame shown at each of these seconds (ascending), or the last one there is."""
    first, picked = _start(stream), []
    pace = 1 / float(stream.average_rate) if stream.average_rate else 0.04
    decoder, frame, at = container.decode(stream), None, -pace
    for second in wanted:
        if second - at > JUMP and stream.duration:
            container.seek(int((second + first) / stream.time_base), stream=stream)
            decoder = container.decode(stream)
        while frame is None or at + pace <= second:
            following = next(decoder, None)
            if following is None:
                break
            frame, at = following, following.time - first if following.time is not None else at + pace
        if frame is None:
            raise Undecodable("not one frame can be decoded")
        if frame.width * frame.height * 3 * len(wanted) > MOST_BYTES:
            raise Undecodable(f"{len(wanted)} frames of {frame.width:,} × {frame.height:,} pixels are too many bytes")
        picked.append(_upright(frame))
    return picked


def _upright(frame: Any) -> np.ndarray:
    """As a player would show it: the file may say that it was filmed with the camera turned."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(getattr(frame, "rotation", 0) / 90) % 4))

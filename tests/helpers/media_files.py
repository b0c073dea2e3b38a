"""Media files for tests, in real formats: whole ones, and ones that are broken in every way that people meet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

SOUNDS = ("wav", "flac", "ogg", "mp3")
PICTURES = ("jpg", "png", "webp")
ODD_NAMES = (
    " leading blank",
    "blank in it",
    'it\'s "quoted"',
    "ümlaut 中 🎵",
    "-leading dash",
    "comma, semicolon;",
    "a&amp;b",
    "%41",
)


def tone(hertz: float, seconds: float = 0.5, rate: int = 22_050) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def write_sound(path: Path, hertz: float, seconds: float = 0.5, rate: int = 22_050) -> None:
    import soundfile

    with path.open("wb") as file:
        soundfile.write(file, tone(hertz, seconds, rate), rate, format=path.suffix[1:].upper())


def write_picture(path: Path, number: int) -> None:
    from PIL import Image

    rng = np.random.default_rng(number)
    pixels = np.full((48, 64, 3), rng.integers(0, 256, 3), np.uint8)
    pixels[8:40, 8 : 8 + number % 40 + 4] = rng.integers(0, 256, 3)
    name = {"jpg": "JPEG"}.get(path.suffix[1:], path.suffix[1:].upper())
    with path.open("wb") as file:
        Image.fromarray(pixels).save(file, format=name)


def write_video(
    path: Path,
    frames: int = 30,
    rate: int = 10,
    options: dict[str, str] | None = None,
    colours: Sequence[Sequence[int]] = (),
) -> None:
    """Frame `n` is grey, as bright as `8 * n`; or all of a colour each, where these are given."""
    import av

    shades = colours or [[min(255, 8 * number)] * 3 for number in range(frames)]
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for shade in shades:
            pixels = np.full((64, 64, 3), shade, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def break_it(path: Path, how: str) -> None:
    """One way for a file to be broken."""
    data = path.read_bytes()
    if how == "truncated":
        path.write_bytes(data[: int(len(data) * 0.6)])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("404 not found\n" * 20)
    elif how == "noise":
        path.write_bytes(np.random.default_rng(len(data)).bytes(4000))
    else:
        raise ValueError(how)


HARMS = ("truncated", "empty", "text", "noise")


def collection(folder: Path, modality: str, count: int, broken: int) -> tuple[list[str], list[str]]:
    """Names of `count` files of all formats, odd names and wrong endings among them; and of those that are broken."""
    folder.mkdir(parents=True, exist_ok=True)
    endings = SOUNDS if modality == "audio" else PICTURES
    names, harmed = [], []
    for number in range(count):
        ending = endings[number % len(endings)]
        stem = f"{ODD_NAMES[number]} {number}" if number < len(ODD_NAMES) else f"{number:05d}"
        made = folder / f"{number}.{ending}"
        if modality == "audio":
            write_sound(made, 200 + 3 * number)
        else:
            write_picture(made, number)
        if number % 10 == 9:  # mislabelled, and fine all the same
            ending = endings[(number + 1) % len(endings)]
        path = folder / f"{stem}.{ending}"
        made.replace(path)
        names.append(path.name)
        if number >= count - broken:
            break_it(path, HARMS[number % len(HARMS)])
            harmed.append(path.name)
    return names, harmed

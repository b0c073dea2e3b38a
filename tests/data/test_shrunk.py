"""Media made small: what is shown is what was there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from harness.contract.dataset import Waveform
from harness.data.media import shrunk

RED, BLUE = (250, 10, 10), (10, 10, 250)


def half_and_half(height: int, width: int) -> np.ndarray:
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = RED, BLUE
    return pixels


def test_a_picture_keeps_its_shape_and_colours(tmp_path: Path) -> None:
    shrunk.write(tmp_path / "one", "image", half_and_half(300, 1200))
    with Image.open(tmp_path / "one.full") as whole, Image.open(tmp_path / "one.webp") as small:
        assert whole.size == (360, 90) and small.size == (96, 24)
        assert np.abs(np.subtract(small.convert("RGB").getpixel((10, 12)), RED)).max() < 40
        assert np.abs(np.subtract(small.convert("RGB").getpixel((86, 12)), BLUE)).max() < 40


def test_a_film_moves(tmp_path: Path) -> None:
    frames = np.stack([np.full((40, 40, 3), 10 * number, np.uint8) for number in range(25)])
    shrunk.write(tmp_path / "film", "video", frames)
    with Image.open(tmp_path / "film.anim") as film:
        assert film.n_frames == 24 and film.size == (40, 40)
    with Image.open(tmp_path / "film.webp") as middle:
        assert abs(middle.convert("L").getpixel((20, 20)) - 120) < 8


@pytest.mark.parametrize("seconds", [0.001, 1.5, 40.0])
def test_a_sound_is_kept_up_to_half_a_minute(tmp_path: Path, seconds: float) -> None:
    samples = 0.3 * np.sin(np.arange(int(8000 * seconds)) * 0.4).astype(np.float32)
    shrunk.write(tmp_path / "sound", "audio", Waveform(samples, 8000))
    heard, rate = soundfile.read(tmp_path / "sound.ogg")
    assert rate == 8000 and len(heard) == pytest.approx(8000 * min(seconds, 30), abs=8)
    with Image.open(tmp_path / "sound.webp") as picture:
        assert picture.size == shrunk.SPECTROGRAM


def test_in_a_spectrogram_a_rising_tone_rises() -> None:
    """A second at 200 Hz, a second at 3,000 Hz: what is bright moves from the lower lines to the upper ones."""
    time = np.arange(8000) / 8000
    tones = np.concatenate([np.sin(2 * np.pi * pitch * time) for pitch in (200, 3000)]).astype(np.float32)
    seen = shrunk.spectrogram(tones).astype(int).sum(2)
    first, second = seen[:, 20].argmax(), seen[:, -20].argmax()
    assert first > second + 10, "line 0 is the highest pitch"
    assert (shrunk.spectrogram(np.zeros(100, np.float32)) <= 255).all()

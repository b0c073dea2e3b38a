"""An image file as pixels: uint8 [H, W, 3]. What the file calls itself doesn't matter, only what it holds."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from harness.data.media.errors import Undecodable

MOST_PIXELS = 64_000_000  # 192 MB decoded; beyond it stands a mistake or a decompression bomb
# Not all that pillow knows: some formats start other programs.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")


def image(path: Path) -> np.ndarray:
    """Turned as its EXIF says, transparent parts white, the first picture of several."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.init()  # once: have pillow look up what it knows
    known = [name for name in FORMATS if name in Image.OPEN]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata; and the size, which is checked here
            with Image.open(path, formats=known) as opened:
                width, height = opened.size
                if width * height > MOST_PIXELS:
                    raise Undecodable(f"{width:,} × {height:,} pixels; at most {MOST_PIXELS:,} are decoded")
                opened.load()
                turned = ImageOps.exif_transpose(opened)
                return _rgb(turned)
    except (Undecodable, MemoryError):
        raise
    except UnidentifiedImageError:
        raise Undecodable("no image in a format that is read here") from None
    except Image.DecompressionBombError as error:
        raise Undecodable(str(error)) from None
    except Exception as error:  # decoders of broken files raise whatever they stumble over
        if isinstance(error, OSError) and error.errno is not None:  # the system's own
            raise
        raise Undecodable(f"{type(error).__name__}: {error}") from error


def _rgb(picture: object) -> np.ndarray:
    from PIL import Image

    assert isinstance(picture, Image.Image)
    if picture.mode.startswith(("I;16", "I", "F")):  # 16 bits a sample, or more
        values = np.asarray(picture, np.float64)
        if picture.mode == "F":
            values = values * (255.0 if np.nanmax(values, initial=0.0) <= 1.0 else 1.0)
        else:
            values = values / 257.0
        grey = np.nan_to_num(values).round().clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        above = picture.convert("RGBA")
        white = Image.new("RGBA", above.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, above)
    return np.array(picture.convert("RGB"))

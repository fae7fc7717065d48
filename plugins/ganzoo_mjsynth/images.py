"""A file's bytes -> a sample, by one rule."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 32, 128
MAX_PIXELS = 1 << 24
"""More than this is no image of a word, and would take much memory."""


def decode(content: bytes, into: NDArray[np.uint8]) -> None:
    """Decode a JPEG or PNG into a sample, uint8 [32, 128].

    The rule: grey (a JPEG's own luminance), scaled to height 32 with its aspect kept (bilinear, antialiased); what is
    wider than 128 then is squeezed to 128, what is narrower is padded on the right with its last column.
    Raises ValueError saying what is wrong.
    """
    if not content:
        raise ValueError("it has no bytes")
    try:
        pixels = _pixels(Image.open(BytesIO(content), formats=("JPEG", "PNG")))
    except ValueError:
        raise
    except Exception as error:  # damaged images make Pillow raise nearly anything
        raise ValueError(_reason(error)) from error
    width = pixels.shape[1]
    into[:, :width] = pixels
    into[:, width:] = pixels[:, -1:]


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Return an image as grey values [32, up to 128]."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"it has {width} × {height} pixels")
    image.draft("L", None)  # type: ignore[arg-type]  # no size: a JPEG's colours are left out while decoding
    if image.mode != "L":
        image = image.convert("L")
    scaled = min(WIDTH, max(1, round(width * HEIGHT / height)))
    if (width, height) != (scaled, HEIGHT):
        image = image.resize((scaled, HEIGHT), Image.Resampling.BILINEAR)
    return np.frombuffer(image.tobytes(), np.uint8).reshape(HEIGHT, scaled)


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "it is no JPEG or PNG"
    return " ".join(str(error).split())[:120] or type(error).__name__

"""The bytes of an image file -> a sample."""

from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 32, 128
MAX_PIXELS = 1 << 24
"""A larger image is not a word, and would take too much memory."""
MAX_BYTES = 1 << 24
"""The same for its file."""


def decode(content: bytes, into: NDArray[np.uint8]) -> None:
    """Decode a JPEG or PNG into a sample, uint8 [32, 128].

    It becomes grey (a JPEG's own luminance) and is scaled to height 32, keeping its aspect ratio (bilinear,
    antialiased). If it is then wider than 128, it is squeezed to 128; if narrower, padded on the right with its last
    column. Raises ValueError.
    """
    if not content:
        raise ValueError("it has no bytes")
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):  # _pixels checks it
            image = Image.open(BytesIO(content), formats=("JPEG", "PNG"))
        pixels = _pixels(image)
    except ValueError:
        raise
    except Exception as error:  # damaged images make Pillow raise almost anything
        raise ValueError(_reason(error)) from error
    width = pixels.shape[1]
    into[:, :width] = pixels
    into[:, width:] = pixels[:, -1:]


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Return an image as grey values [32, up to 128]."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"it has {width} × {height} pixels")
    image.draft("L", None)  # type: ignore[arg-type]  # no size: skip a JPEG's colours while decoding
    if image.mode != "L":
        image = image.convert("L")
    scaled = min(WIDTH, max(1, round(width * HEIGHT / height)))
    if (width, height) != (scaled, HEIGHT):
        image = image.resize((scaled, HEIGHT), Image.Resampling.BILINEAR)
    return np.frombuffer(image.tobytes(), np.uint8).reshape(HEIGHT, scaled)


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "it is not a JPEG or PNG"
    return " ".join(str(error).split())[:120] or type(error).__name__

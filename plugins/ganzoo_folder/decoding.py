"""The bytes of a picture -> a sample."""

from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from ganzoo_folder.config import FolderConfig

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF")
"""What Pillow may open. Its other decoders are old, rare, or start other programs."""
MAX_PIXELS = 50_000_000
"""A larger picture would take more than 200 MB of memory while it is decoded."""
MAX_JPEG_PIXELS = 178_000_000
"""A baseline JPEG is scaled while it is decoded, so more of it fits. Pillow opens nothing larger."""

_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what puts the picture upright."""


class UnusableError(ValueError):
    """A picture that cannot be used; the message is the reason."""


def decode(content: bytes, config: FolderConfig) -> NDArray[np.uint8]:
    """Decode a picture into a sample, uint8 [channels, size, size].

    It is put upright (EXIF), laid on the background, made square (`config.fit`) and resized with a Lanczos filter. The
    first frame of an animation is taken. 16 bits per channel become 8. Colour profiles are ignored: values are taken as
    sRGB. Raises UnusableError with the reason.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of large pictures, which _loaded refuses, and odd metadata
            image = _loaded(content, config)
            orientation = _orientation(image)
            image = _square(_reduced(image, 3 * config.size), config)
    except UnusableError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UnusableError("not a picture") from error
    except Image.DecompressionBombError as error:
        raise UnusableError("too large (more than 178 million pixels)") from error
    except Exception as error:  # damaged pictures make Pillow raise almost anything
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise UnusableError(f"damaged ({reason})") from error
    if orientation in _TRANSPOSED:
        image = image.transpose(_TRANSPOSED[orientation])
    pixels = np.asarray(image)
    return pixels[np.newaxis] if config.grey else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _loaded(content: bytes, config: FolderConfig) -> Image.Image:
    """Open and decode a picture of an accepted size; a JPEG at the smallest scale that is large enough."""
    image = Image.open(BytesIO(content), formats=FORMATS)
    width, height = image.size
    baseline = image.format in ("JPEG", "MPO") and not image.info.get("progressive")
    if width * height > (MAX_JPEG_PIXELS if baseline else MAX_PIXELS):
        raise UnusableError(f"too large ({width:,} × {height:,} pixels)")
    side = (min if config.fit == "crop" else max)(width, height)
    if side * 4 < config.size:
        raise UnusableError(f"too small ({width} × {height} pixels)")
    # Twice the size that is needed: what libjpeg scales down is averaged over blocks, and the rest is then filtered.
    shorter = min(width, height)
    image.draft(
        "L" if config.grey else None,  # type: ignore[arg-type]  # None keeps the colours
        (2 * config.size * width // shorter, 2 * config.size * height // shorter),
    )
    image.load()
    return image


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation that is still to be applied; Pillow itself turns a TIFF when it is loaded."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged metadata of a picture that is otherwise right
        return 1


_BAND = 1_000_000
"""Pixels that are reduced at a time."""


def _reduced(image: Image.Image, side: int) -> Image.Image:
    """Return a picture in mode L, LA, RGB or RGBA, averaged over whole blocks while its sides stay at least `side`.

    It is converted in bands, because the conversions of a whole large picture take several times its memory.
    """
    width, height = image.size
    factor = min(width, height) // side
    if factor < 2:
        return _eight_bit(image)
    rows = factor * max(1, _BAND // (width * factor))
    reduced: Image.Image | None = None
    for top in range(0, height, rows):
        band = _eight_bit(image.crop((0, top, width, min(height, top + rows)))).reduce(factor)
        reduced = reduced or Image.new(band.mode, (band.width, -(-height // factor)))
        reduced.paste(band, (0, top // factor))
    assert reduced is not None
    return reduced


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return a picture in mode L, LA, RGB or RGBA. Raises UnusableError for values of an unknown range."""
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image)
        if values.size and not (values.min() >= 0 and values.max() <= 0xFFFF):
            raise UnusableError("32-bit values")
        return Image.fromarray((values >> 8).astype(np.uint8))
    if image.mode == "F":
        raise UnusableError("32-bit values")
    if image.mode in ("RGBa", "La", "PA") or (image.has_transparency_data and image.mode != "LA"):
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode in ("L", "LA", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _square(image: Image.Image, config: FolderConfig) -> Image.Image:
    """Return a picture as a square in mode L or RGB."""
    (width, height), size = image.size, config.size
    scaled, box = (size, size), (0.0, 0.0, float(width), float(height))
    if config.fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    elif config.fit == "pad":
        side = max(width, height)
        scaled = (max(1, round(width * size / side)), max(1, round(height * size / side)))
    if (width, height) != scaled:
        # With transparency, Pillow weights the colours by their opacity.
        image = image.resize(scaled, Image.Resampling.LANCZOS, box=box)
    if image.mode in ("LA", "RGBA") or scaled != (size, size):
        canvas = Image.new("RGB", (size, size), config.background)
        corner = ((size - scaled[0]) // 2, (size - scaled[1]) // 2)
        opacity = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
        canvas.paste(image.convert("RGB"), corner, opacity)
        image = canvas
    return image.convert("L" if config.grey else "RGB")


def size_of(content: bytes) -> tuple[int, int]:
    """Return width and height of a picture that can be decoded."""
    with warnings.catch_warnings(action="ignore"):
        return Image.open(BytesIO(content), formats=FORMATS).size

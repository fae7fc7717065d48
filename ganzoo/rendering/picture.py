"""Samples -> one picture of all of them, or one of each."""

from __future__ import annotations

import errno
import io
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo.errors import UsageError, first_sentence
from ganzoo.rendering.curves import curve_plot, curves_only
from ganzoo.rendering.facts import png_text
from ganzoo.specs import SampleSpec
from ganzoo.system.files import read_regular, write_atomically

if TYPE_CHECKING:
    from torch import Tensor

GAP = 2
"""Pixels between the images of a grid, before enlargement."""

MAX_PIXELS = 1 << 25
"""A larger picture is not one of ours, and would take too much memory."""
MAX_BYTES = 1 << 27
"""The same for its file."""

STILLS = (".png", ".jpg", ".jpeg", ".webp")
"""File types of one picture."""
ANIMATIONS = (".gif", ".webp", ".mp4")
"""File types of a sequence of pictures."""
MAX_SIDES = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
"""Most pixels of a side that the formats, and the libraries that write them, allow."""

MAX_CURVES = 100_000
"""In one plot; more only take time."""

ENLARGED_WIDTH = 560
"""Small grids are enlarged by a whole factor to at most this width, so that they can be seen."""

Items = NDArray[Any]
"""Samples as they are sent to worker processes, which load no torch: images as uint8 [num, height, width, channels],
others as float32 [num, *shape]."""


def check_drawable(num: int, spec: SampleSpec) -> None:
    """Refuse samples that are only written as arrays, and more than one picture can show. Raises UsageError."""
    if spec.kind == "tensor":
        raise UsageError(
            f"these samples are tensors of shape {list(spec.shape)}, which are not drawn.",
            hint="Save arrays: --out samples.npy, samples.safetensors or FOLDER/",
        )
    pixels = math.prod(side + GAP for side in spec.shape[1:])
    most = max(1, MAX_PIXELS // pixels) if spec.kind == "image" else MAX_CURVES
    if num > most:
        raise UsageError(
            f"{num:,} samples do not fit into one picture.",
            hint=f"Ask for at most {most:,}, or write a folder of PNGs (samples/) or an array (samples.npy).",
        )


def picture(samples: Tensor, spec: SampleSpec, columns: int | None = None) -> Image.Image:
    """Draw samples [num, *spec.shape] as one picture: images in a grid as `image_grid` does, curves in one plot.

    Raises UsageError for tensors, and for too many samples.
    """
    check_drawable(len(samples), spec)
    return draw_items(to_items(samples, spec), spec, columns)


def draw_items(items: Items, spec: SampleSpec, columns: int | None = None) -> Image.Image:
    """Draw what `to_items` returned as one picture, as `picture` does."""
    return _pixel_grid(items, columns) if spec.kind == "image" else curve_plot(items, spec)


def single_pictures(samples: Tensor, spec: SampleSpec) -> list[Image.Image]:
    """Draw each of the samples [num, *spec.shape]: an image pixel by pixel, a curve as a plot. Raises UsageError."""
    check_drawable(1, spec)
    return [_item_image(item, spec) for item in to_items(samples, spec)]


def save_picture(samples: Tensor, spec: SampleSpec, path: Path, facts: Mapping[str, str] | None = None) -> None:
    """Write one picture of all samples as a PNG that says facts, the whole file or none. Raises OSError."""
    write_atomically(path, png_bytes(picture(samples, spec), facts))


def save_array(samples: Tensor, path: Path) -> None:
    """Write samples as a .npy file, float32 [num, *shape], the whole file or none. Raises OSError."""
    write_atomically(path, item_npy(samples.float().cpu().numpy()))


def read_picture(path: Path) -> Image.Image:
    """Read a grey or RGB picture from a PNG. Raises OSError, also for a damaged or a huge one, or another format."""
    content = io.BytesIO(read_regular(path, MAX_BYTES))
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(content, formats=("PNG",))
        if image.width * image.height <= MAX_PIXELS:
            image.load()
            return image if image.mode in ("L", "RGB") else image.convert("RGB")
        reason = f"{image.width} × {image.height} pixels are too many"
    except Exception as error:  # damaged pictures make Pillow raise almost anything
        reason = first_sentence(error)
    raise OSError(errno.EINVAL, reason, str(path))


def for_terminal(image: Image.Image, spec: SampleSpec) -> Image.Image:
    """Prepare a picture of samples for drawing with characters: curves lose their labels and get thicker lines."""
    return curves_only(image) if spec.kind == "curve" else image.copy()


def image_grid(images: Tensor, columns: int | None = None) -> Image.Image:
    """Draw images [num, channels, height, width] row by row in a grid with these columns; None: about square."""
    return _pixel_grid(to_pixels(images), columns)


def _pixel_grid(pixels: NDArray[np.uint8], columns: int | None) -> Image.Image:
    num, height, width, channels = pixels.shape
    columns = columns or min(num, max(1, round(math.sqrt(num * (height + GAP) / (width + GAP)))))
    rows = math.ceil(num / columns)
    cell = np.array([height + GAP, width + GAP])
    canvas: NDArray[Any] = np.zeros((*(cell * (rows, columns) + GAP), channels), np.uint8)
    for index, image in enumerate(pixels):
        top, left = cell * divmod(index, columns) + GAP
        canvas[top : top + height, left : left + width] = image
    factor = max(1, ENLARGED_WIDTH // canvas.shape[1])
    return _to_image(canvas.repeat(factor, axis=0).repeat(factor, axis=1))


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """Map images [num, channels, height, width] in [-1, 1] to bytes [num, height, width, channels]."""
    from ganzoo.data import to_uint8  # imports torch, which worker processes must not load

    return to_uint8(images).cpu().permute(0, 2, 3, 1).numpy()


def to_items(samples: Tensor, spec: SampleSpec) -> Items:
    """Copy samples [num, *spec.shape] to the host, images as bytes."""
    return to_pixels(samples) if spec.kind == "image" else samples.float().cpu().numpy()


def item_png(item: Items, spec: SampleSpec, facts: Mapping[str, str] | None = None) -> bytes:
    """Return a PNG of one item: an image pixel by pixel, or a plot of a curve (not of a tensor)."""
    return png_bytes(_item_image(item, spec), facts)


def _item_image(item: Items, spec: SampleSpec) -> Image.Image:
    return _to_image(item) if spec.kind == "image" else curve_plot(item[np.newaxis], spec)


def item_npy(item: Items) -> bytes:
    """Return one item as a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, item, allow_pickle=False)
    return buffer.getvalue()


def png_bytes(image: Image.Image, facts: Mapping[str, str] | None = None) -> bytes:
    """Return an image as a PNG file; with facts, it says them, and which ganzoo wrote it."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=None if facts is None else png_text(facts))
    return buffer.getvalue()


def still_bytes(image: Image.Image, suffix: str, facts: Mapping[str, str] | None = None) -> bytes:
    """Return an image as a file of one of the STILLS. Only PNGs say facts; only JPEG loses anything.

    Raises UsageError for an image that is longer than its format allows.
    """
    suffix = suffix.lower()
    if suffix == ".png":
        return png_bytes(image, facts)
    most = MAX_SIDES[suffix]
    if max(image.size) > most:
        raise UsageError(
            f"{image.width} × {image.height} pixels are too many for {suffix}.",
            hint=f"Its sides have at most {most:,} pixels; .png has no such limit.",
        )
    buffer = io.BytesIO()
    if suffix == ".webp":
        image.save(buffer, format="WEBP", lossless=True)
    else:
        # Colours of every pixel: samples are often smaller than the blocks in which JPEG would average them.
        image.save(buffer, format="JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def _to_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """Make an image of bytes [height, width, channels] with one channel (grey) or three (RGB)."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)

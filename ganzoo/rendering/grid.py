"""Images in rows and columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo.specs import SampleSpec

if TYPE_CHECKING:
    from torch import Tensor

GAP = 2
"""Pixels between images, before enlargement."""

ENLARGED_WIDTH = 560
"""Small grids are enlarged by a whole factor to at most this width, so that they can be seen."""


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """Map images [num, channels, height, width] in [-1, 1] to bytes [num, height, width, channels]."""
    from ganzoo.data import to_uint8  # here: pictures that are drawn already need no torch

    return to_uint8(images).cpu().permute(0, 2, 3, 1).numpy()


def to_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """Make an image of bytes [height, width, channels] with one channel (grey) or three (RGB)."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def image_grid(images: Tensor, spec: SampleSpec) -> Image.Image:
    """Draw images [num, channels, height, width] row by row, about as many columns as make the grid square."""
    pixels = to_pixels(images)
    num, height, width, channels = pixels.shape
    columns = min(num, max(1, round(math.sqrt(num * (height + GAP) / (width + GAP)))))
    rows = math.ceil(num / columns)
    cell = np.array([height + GAP, width + GAP])
    canvas: NDArray[Any] = np.zeros((*(cell * (rows, columns) + GAP), channels), np.uint8)
    for index, image in enumerate(pixels):
        top, left = cell * divmod(index, columns) + GAP
        canvas[top : top + height, left : left + width] = image
    factor = max(1, ENLARGED_WIDTH // canvas.shape[1])
    return to_image(canvas.repeat(factor, axis=0).repeat(factor, axis=1))

"""The picture that `ganzoo show` begins with: a few samples, small enough to travel with the weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ganzoo.rendering.picture import for_terminal, image_grid, picture, png_bytes

if TYPE_CHECKING:
    from ganzoo.model import GAN

NUM_IMAGES = 16
NUM_CURVES = 64
CURVES_WIDTH = 240
"""Pixels of a plot's longer side."""
ASPECT = 4
"""Width by height: 80 columns and 10 lines of a terminal, each of which shows two pixels."""


def preview_png(gan: GAN) -> bytes | None:
    """Draw samples of seed 0 as a wide PNG; None for tensors, which are not drawn."""
    spec = gan.config.sample
    if spec.kind == "tensor":
        return None
    if spec.kind == "curve":
        plot = for_terminal(picture(gan.sample(NUM_CURVES, seed=0), spec), spec)
        plot.thumbnail((CURVES_WIDTH, CURVES_WIDTH))
        return png_bytes(plot)
    height, width = spec.shape[1:]
    columns = min(NUM_IMAGES, max(1, round(math.sqrt(NUM_IMAGES * ASPECT * height / width))))
    return png_bytes(image_grid(gan.sample(NUM_IMAGES, seed=0), columns))

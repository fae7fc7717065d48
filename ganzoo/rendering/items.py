"""Samples one by one: what a single picture is drawn from, which travels to other processes and needs no torch."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganzoo.rendering.curves import curve_plot
from ganzoo.rendering.grid import to_image, to_pixels
from ganzoo.specs import SampleSpec

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

Items = NDArray[Any]
"""Of images uint8 [num, height, width, channels], of curves float32 [num, points]."""


def to_items(samples: Tensor, spec: SampleSpec) -> Items:
    """Bring samples [num, *spec.shape] to the host."""
    return to_pixels(samples) if spec.kind == "image" else samples.float().cpu().numpy()


def item_png(item: Items, spec: SampleSpec) -> bytes:
    """Return a PNG of one item: an image as it is, pixel by pixel, or a plot of a curve."""
    return png_bytes(to_image(item) if spec.kind == "image" else curve_plot(item[np.newaxis], spec))


def item_npy(item: Items) -> bytes:
    """Return one item as a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, item, allow_pickle=False)
    return buffer.getvalue()


def png_bytes(image: Image) -> bytes:
    """Return an image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()

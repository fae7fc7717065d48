"""A plot of curves, over the band that contains every real curve where the spec has one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageFilter

from ganzoo.rendering.canvas import Canvas, Panel
from ganzoo.specs import SampleSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

WIDTH, HEIGHT = 800, 560
_BOX = (64, 24, WIDTH - 24, HEIGHT - 56)

_BAND, _BAND_EDGE = (222, 235, 250), (120, 160, 210)
_CURVES = ((200, 70, 40, 110), (40, 90, 180, 110), (50, 130, 70, 110), (130, 80, 160, 110))
"""The colour of each channel; the fifth channel has that of the first again."""


def curve_plot(curves: Tensor | NDArray[Any], spec: SampleSpec) -> Image.Image:
    """Draw curves [num, *spec.shape] in one plot, each channel in a colour of its own.

    With axes, they are drawn over the band that contains every real curve. Without, they are drawn over their index,
    scaled to their own range.
    """
    samples = curves.tolist()
    channels = [samples] if len(spec.shape) == 1 else list(zip(*samples, strict=True))  # each [num, points]
    axes = spec.axes
    # Curves that leave the band's range, and a margin around it, are cut off, so that the rest keeps its scale.
    xs = range(spec.shape[-1]) if axes is None else axes.x
    low, high = _range(channels) if axes is None else (min(axes.lower), max(axes.upper))
    room = (high - low) * 0.12
    canvas = Canvas(WIDTH, HEIGHT)
    last = xs[-1] if len(xs) > 1 else xs[0] + 1  # a single point has a range as well
    panel = Panel(canvas, _BOX, (xs[0], last), (low - room, high + room))
    panel.draw_axes()

    if axes is not None:
        lower, upper = panel.path(xs, axes.lower), panel.path(xs, axes.upper)
        canvas.polygon([*lower, *reversed(upper)], _BAND)
        for edge in (lower, upper):
            canvas.line(edge, _BAND_EDGE, 2)
    for channel, colour in zip(channels, cycle(_CURVES)):
        canvas.translucent_lines((panel.path(xs, row) for row in channel), colour, 1.3)

    caption = f"{len(samples)} generated curves"
    if len(channels) > 1:
        caption += f" of {len(channels)} channels"
    if axes is not None:
        caption += "; all real curves lie in the blue band"
    left, _, right, bottom = _BOX
    canvas.text(((left + right) / 2, bottom + 28), caption, "mt")
    return canvas.finish()


def _range(channels: Sequence[Sequence[Sequence[float]]]) -> tuple[float, float]:
    """Return the smallest and the largest finite value, or a range around it if there is only one."""
    values = [value for channel in channels for row in channel for value in row if math.isfinite(value)]
    low, high = min(values, default=0.0), max(values, default=0.0)
    return (low, high) if low < high else (low - 1, high + 1)


def curves_only(plot: Image.Image) -> Image.Image:
    """Cut the labels off a curve plot and thicken its lines, so that they survive shrinking to a tenth."""
    return plot.crop(_BOX).filter(ImageFilter.MinFilter(5))

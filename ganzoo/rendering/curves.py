"""A plot of curves over the band that contains every real curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image, ImageFilter

from ganzoo.errors import UsageError
from ganzoo.rendering.canvas import Canvas, Panel
from ganzoo.specs import SampleSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

WIDTH, HEIGHT = 800, 560
_BOX = (64, 24, WIDTH - 24, HEIGHT - 56)

_BAND, _BAND_EDGE, _CURVE = (222, 235, 250), (120, 160, 210), (200, 70, 40, 110)


def curve_plot(curves: Tensor | NDArray[Any], spec: SampleSpec) -> Image.Image:
    """Draw curves [num, points] over their band. Raises UsageError for a spec without axes."""
    axes = spec.axes
    if axes is None:
        raise UsageError(
            "these curves cannot be drawn: their dataset defines no axes.",
            hint="Save an array instead: --out samples.npy",
        )
    rows = curves.tolist()
    # The band and a margin around it; curves that go further are cut off, so that the rest keeps its scale.
    low, high = min(axes.lower), max(axes.upper)
    room = (high - low) * 0.12
    canvas = Canvas(WIDTH, HEIGHT)
    panel = Panel(canvas, _BOX, (min(axes.x), max(axes.x)), (low - room, high + room))
    panel.draw_axes()

    lower, upper = panel.path(axes.x, axes.lower), panel.path(axes.x, axes.upper)
    canvas.polygon([*lower, *reversed(upper)], _BAND)
    for edge in (lower, upper):
        canvas.line(edge, _BAND_EDGE, 2)
    canvas.translucent_lines((panel.path(axes.x, row) for row in rows), _CURVE, 1.3)

    caption = f"{len(rows)} generated curves; all real curves lie in the blue band"
    left, _, right, bottom = _BOX
    canvas.text(((left + right) / 2, bottom + 28), caption, "mt")
    return canvas.finish()


def curves_only(plot: Image.Image) -> Image.Image:
    """Cut the labels off a curve plot and thicken its lines, so that they survive shrinking to a tenth."""
    return plot.crop(_BOX).filter(ImageFilter.MinFilter(5))

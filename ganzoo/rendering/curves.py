"""Curves as a plot, over the band that holds every real curve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from ganzoo.errors import UsageError
from ganzoo.specs import CurveAxes, SampleSpec

if TYPE_CHECKING:
    from torch import Tensor

WIDTH, HEIGHT = 800, 560
_MARGIN = (64, 24, 24, 56)  # left, top, right, bottom
_OVERSAMPLING = 3  # lines are drawn three times as large and shrunk, which smooths them

_PAPER, _INK, _FAINT = (255, 255, 255), (60, 64, 72), (226, 229, 234)
_BAND, _BAND_EDGE, _CURVE = (222, 235, 250), (120, 160, 210), (200, 70, 40, 110)


def curve_plot(curves: Tensor, spec: SampleSpec) -> Image.Image:
    """Draw curves [num, points] over their band. Raises UsageError for a spec without axes."""
    if spec.axes is None:
        raise UsageError("these curves have no axes to draw them on.", hint="Write an array instead: --out FILE.npy")
    rows = curves.detach().cpu().double().tolist()
    plot = _Plot(spec.axes, rows)
    plot.draw_axes()
    plot.draw_band()
    plot.draw_curves(rows)
    plot.draw_labels(f"{len(rows)} generated curves; every real one lies in the blue band")
    return plot.finish()


class _Plot:
    """A canvas with data coordinates."""

    def __init__(self, axes: CurveAxes, rows: Sequence[Sequence[float]]) -> None:
        self.axes = axes
        # The view is the band and some room; a curve that has gone astray leaves the picture.
        low, high = min(axes.lower), max(axes.upper)
        room = (high - low) * 0.12
        self.x_range, self.y_range = (min(axes.x), max(axes.x)), (low - room, high + room)
        self.image = Image.new("RGB", (WIDTH * _OVERSAMPLING, HEIGHT * _OVERSAMPLING), _PAPER)
        self.font = ImageFont.load_default(15 * _OVERSAMPLING)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel of a point."""
        left, top, right, bottom = _MARGIN
        across = (x - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        down = (self.y_range[1] - y) / (self.y_range[1] - self.y_range[0])
        return (
            _OVERSAMPLING * (left + across * (WIDTH - left - right)),
            _OVERSAMPLING * (top + down * (HEIGHT - top - bottom)),
        )

    def path(self, values: Iterable[float]) -> list[tuple[float, float]]:
        """Return the pixels of a curve."""
        return [self.at(x, y) for x, y in zip(self.axes.x, values, strict=True)]

    def draw_axes(self) -> None:
        draw = ImageDraw.Draw(self.image)
        for y in _ticks(*self.y_range):
            draw.line([self.at(self.x_range[0], y), self.at(self.x_range[1], y)], fill=_FAINT, width=_OVERSAMPLING)
            x, height = self.at(self.x_range[0], y)
            draw.text((x - 8 * _OVERSAMPLING, height), f"{y:g}", fill=_INK, font=self.font, anchor="rm")
        for x in _ticks(*self.x_range):
            across, height = self.at(x, self.y_range[0])
            draw.text((across, height + 6 * _OVERSAMPLING), f"{x:g}", fill=_INK, font=self.font, anchor="mt")

    def draw_band(self) -> None:
        draw = ImageDraw.Draw(self.image)
        lower, upper = self.path(self.axes.lower), self.path(self.axes.upper)
        draw.polygon([*lower, *reversed(upper)], fill=_BAND)
        for edge in (lower, upper):
            draw.line(edge, fill=_BAND_EDGE, width=2 * _OVERSAMPLING, joint="curve")

    def draw_curves(self, rows: Sequence[Sequence[float]]) -> None:
        layer = Image.new("RGBA", self.image.size, (0, 0, 0, 0))
        for row in rows:
            # One layer a curve, so that translucent curves add up where they cross.
            ImageDraw.Draw(layer).line(self.path(row), fill=_CURVE, width=round(1.3 * _OVERSAMPLING), joint="curve")
            self.image.paste(layer, mask=layer)
            layer.paste((0, 0, 0, 0), (0, 0, *layer.size))

    def draw_labels(self, caption: str) -> None:
        middle = (self.x_range[0] + self.x_range[1]) / 2
        across, height = self.at(middle, self.y_range[0])
        place = (across, height + 28 * _OVERSAMPLING)
        ImageDraw.Draw(self.image).text(place, caption, fill=_INK, font=self.font, anchor="mt")

    def finish(self) -> Image.Image:
        return self.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def _ticks(low: float, high: float, step: float = 0.5) -> list[float]:
    """Return the multiples of a step inside a range, the step doubled until they are few."""
    while (high - low) / step > 10:
        step *= 2
    first = -(-low // step)
    return [step * index for index in range(int(first), int(high // step) + 1)]

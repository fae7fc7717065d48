"""A canvas to draw on, and panels with axes on it: the base of charts and curve plots."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, FAINT = (255, 255, 255), (60, 64, 72), (226, 229, 234)
_OVERSAMPLING = 3  # drawn three times as large and shrunk, because Pillow does not smooth lines
_STRIP = 96  # width in pixels

Colour = tuple[int, int, int] | tuple[int, int, int, int]
"""Red, green, blue and, for translucent lines, opacity: 0 to 255."""

Point = tuple[float, float]

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


class Canvas:
    """A white picture. Coordinates are pixels of the finished picture, from its upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self._image = Image.new("RGB", (width * _OVERSAMPLING, height * _OVERSAMPLING), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def line(self, points: Sequence[Point], colour: Colour, width: float = 1) -> None:
        """Draw a line through points."""
        self._draw.line(_large(points), fill=colour, width=round(width * _OVERSAMPLING), joint="curve")

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon(_large(points), fill=colour)

    def dot(self, centre: Point, radius: float, colour: Colour) -> None:
        """Draw a filled circle."""
        self._draw.circle(_large([centre])[0], radius * _OVERSAMPLING, fill=colour)

    def outline(self, box: Box, colour: Colour) -> None:
        """Draw the edges of a rectangle."""
        left, top, right, bottom = box
        self.line([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], colour)

    def text(self, position: Point, text: str, anchor: str, colour: Colour = INK, size: int = 15) -> None:
        """Write a line of text with its `anchor` (Pillow's letters, such as `mt`) at a point."""
        font = ImageFont.load_default(size * _OVERSAMPLING)
        self._draw.text(_large([position])[0], text, fill=colour, font=font, anchor=anchor)

    def text_width(self, text: str, size: int = 15) -> float:
        """Return the width of a line of text in pixels."""
        return float(ImageFont.load_default(size * _OVERSAMPLING).getlength(text)) / _OVERSAMPLING

    def translucent_lines(self, lines: Iterable[Sequence[Point]], colour: Colour, width: float) -> None:
        """Draw lines that get darker where they cross; the colour has an opacity."""
        *ink, opacity = colour
        mask = Image.new("L", self._image.size)
        for points in lines:
            # One mask per line: segments of the same line must not get darker at their joints.
            pixels = _large(points)
            ImageDraw.Draw(mask).line(pixels, fill=opacity, width=round(width * _OVERSAMPLING), joint="curve")
            for left in range(0, mask.width, _STRIP):
                strip = mask.crop((left, 0, min(left + _STRIP, mask.width), mask.height))
                box = strip.getbbox()  # pasting only where the line is makes this several times faster
                if box is not None:
                    position = (left + box[0], box[1], left + box[2], box[3])
                    self._image.paste(tuple(ink), position, strip.crop(box))
                    mask.paste(0, position)

    def finish(self) -> Image.Image:
        """Return the picture at its size."""
        return self._image.resize(self.size, Image.Resampling.LANCZOS)


def _large(points: Iterable[Point]) -> list[Point]:
    return [(x * _OVERSAMPLING, y * _OVERSAMPLING) for x, y in points]


@dataclass(frozen=True)
class Panel:
    """A rectangle of a canvas with its own coordinates."""

    canvas: Canvas
    box: Box
    """In pixels of the canvas."""
    x_range: tuple[float, float]
    """Smallest and largest x."""
    y_range: tuple[float, float]
    """Smallest and largest y."""

    def at(self, x: float, y: float) -> Point:
        """Return the pixel of a point."""
        left, top, right, bottom = self.box
        across = (x - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        down = (self.y_range[1] - y) / (self.y_range[1] - self.y_range[0])
        return left + across * (right - left), top + down * (bottom - top)

    def path(self, xs: Iterable[float], ys: Iterable[float]) -> list[Point]:
        """Return the pixels of a curve."""
        return [self.at(x, y) for x, y in zip(xs, ys, strict=True)]

    def clamped(self, x: float, y: float) -> Point:
        """Return the pixel of a point, moved to the panel's upper or lower edge where it lies outside."""
        return self.at(x, min(max(y, self.y_range[0]), self.y_range[1]))

    def draw_axes(self, x_label: Callable[[float], str] = "{:g}".format, max_ticks: tuple[int, int] = (8, 8)) -> None:
        """Draw a grid line and a number at each tick of y, and a number at each tick of x.

        `max_ticks` bounds the number of intervals between ticks, for x and for y.
        """
        left, right = self.x_range
        for y in ticks(*self.y_range, max_ticks[1]):
            self.canvas.line([self.at(left, y), self.at(right, y)], FAINT)
            x, height = self.at(left, y)
            self.canvas.text((x - 8, height), f"{y:g}", "rm")
        for x in ticks(*self.x_range, max_ticks[0]):
            across, height = self.at(x, self.y_range[0])
            self.canvas.text((across, height + 6), x_label(x), "mt")


def ticks(low: float, high: float, max_intervals: int) -> list[float]:
    """Return round numbers inside a range: multiples of 1, 2 or 5 times a power of ten, at most max_intervals + 1."""
    smallest = (high - low) / max_intervals
    power = 10.0 ** math.floor(math.log10(smallest))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= smallest * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return [round(step * index, digits) + 0.0 for index in range(first, last + 1)]

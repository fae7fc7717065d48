"""What charts and curve plots are drawn with: a canvas, and panels on it that have coordinates of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, FAINT = (255, 255, 255), (60, 64, 72), (226, 229, 234)
_OVERSAMPLING = 3  # everything is drawn three times as large and shrunk, which smooths it
_STRIP = 96  # pixels across

Colour = tuple[int, int, int] | tuple[int, int, int, int]
"""Red, green, blue, and for layers the opacity: 0 to 255."""

Point = tuple[float, float]

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


class Canvas:
    """A white picture; sizes and places are pixels of the finished one, from its upper left corner."""

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

    def dot(self, place: Point, radius: float, colour: Colour) -> None:
        """Draw a filled circle."""
        self._draw.circle(_large([place])[0], radius * _OVERSAMPLING, fill=colour)

    def outline(self, box: Box, colour: Colour) -> None:
        """Draw the edges of a rectangle."""
        left, top, right, bottom = box
        self.line([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], colour)

    def text(self, place: Point, text: str, anchor: str, colour: Colour = INK, size: int = 15) -> None:
        """Write a line; `anchor` says which of its points lies at the place (Pillow's letters, such as `mt`)."""
        font = ImageFont.load_default(size * _OVERSAMPLING)
        self._draw.text(_large([place])[0], text, fill=colour, font=font, anchor=anchor)

    def text_width(self, text: str, size: int = 15) -> float:
        """Return how many pixels wide a line would be."""
        return float(ImageFont.load_default(size * _OVERSAMPLING).getlength(text)) / _OVERSAMPLING

    def translucent_lines(self, lines: Iterable[Sequence[Point]], colour: Colour, width: float) -> None:
        """Draw lines that add up where they cross; the colour has an opacity."""
        *ink, opacity = colour
        mask = Image.new("L", self._image.size)
        for points in lines:
            # A mask for each line, for the pieces of one line must not add up at its joints.
            pixels = _large(points)
            ImageDraw.Draw(mask).line(pixels, fill=opacity, width=round(width * _OVERSAMPLING), joint="curve")
            for left in range(0, mask.width, _STRIP):
                strip = mask.crop((left, 0, min(left + _STRIP, mask.width), mask.height))
                box = strip.getbbox()  # a line fills little of its picture, and pasting nothing takes as long
                if box is not None:
                    place = (left + box[0], box[1], left + box[2], box[3])
                    self._image.paste(tuple(ink), place, strip.crop(box))
                    mask.paste(0, place)

    def finish(self) -> Image.Image:
        """Return the picture at its size."""
        return self._image.resize(self.size, Image.Resampling.LANCZOS)


def _large(points: Iterable[Point]) -> list[Point]:
    return [(x * _OVERSAMPLING, y * _OVERSAMPLING) for x, y in points]


@dataclass(frozen=True)
class Panel:
    """A rectangle of a canvas with coordinates of its own."""

    canvas: Canvas
    box: Box
    """Pixels of the canvas."""
    x_range: tuple[float, float]
    """Smallest and largest abscissa."""
    y_range: tuple[float, float]
    """Smallest and largest ordinate."""

    def at(self, x: float, y: float) -> Point:
        """Return the canvas's pixel of a point."""
        left, top, right, bottom = self.box
        across = (x - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        down = (self.y_range[1] - y) / (self.y_range[1] - self.y_range[0])
        return left + across * (right - left), top + down * (bottom - top)

    def path(self, xs: Iterable[float], ys: Iterable[float]) -> list[Point]:
        """Return the canvas's pixels of a curve."""
        return [self.at(x, y) for x, y in zip(xs, ys, strict=True)]

    def inside(self, x: float, y: float) -> Point:
        """Return the canvas's pixel of a point, or of the panel's edge above or below it."""
        return self.at(x, min(max(y, self.y_range[0]), self.y_range[1]))

    def draw_axes(self, x_label: Callable[[float], str] = "{:g}".format, most: tuple[int, int] = (8, 8)) -> None:
        """Draw a line across and a number at each tick of the ordinate, and a number at each of the abscissa.

        `most` bounds the intervals between ticks, for the abscissa and for the ordinate.
        """
        left, right = self.x_range
        for y in ticks(*self.y_range, most[1]):
            self.canvas.line([self.at(left, y), self.at(right, y)], FAINT)
            x, height = self.at(left, y)
            self.canvas.text((x - 8, height), f"{y:g}", "rm")
        for x in ticks(*self.x_range, most[0]):
            across, height = self.at(x, self.y_range[0])
            self.canvas.text((across, height + 6), x_label(x), "mt")


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten inside a range, as many as fit into `most` intervals."""
    smallest = (high - low) / most
    power = 10.0 ** math.floor(math.log10(smallest))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= smallest * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return [round(step * index, digits) + 0.0 for index in range(first, last + 1)]

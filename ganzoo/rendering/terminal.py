"""Pictures and sparklines made of characters, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

SHADES = " .:-=+*#%@"
"""Dark to light, for terminals without colours."""


class TerminalPicture:
    """A Rich renderable that draws an image in at most `max_width` cells and `max_height` lines.

    Each cell shows two pixels, one above the other, as a half block in two colours.
    """

    def __init__(self, image: Image.Image, max_width: int = 80, max_height: int | None = None) -> None:
        self.image, self.max_width, self.max_height = image, max_width, max_height

    def size(self, width: int) -> tuple[int, int]:
        """Return the columns and lines that the picture takes in a terminal of this width."""
        width = min(width, self.max_width)
        if self.max_height is not None:
            width = min(width, max(1, round(2 * self.max_height * self.image.width / self.image.height)))
        lines = max(1, round(self.image.height * width / self.image.width / 2))
        return width, lines if self.max_height is None else min(lines, self.max_height)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, lines = self.size(options.max_width)
        height = 2 * lines
        pixels = np.asarray(self.image.convert("RGB").resize((width, height), Image.Resampling.BOX))
        coloured = console.color_system is not None and not console.no_color
        for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
            yield from _half_blocks(upper, lower) if coloured else _shades(upper, lower)
            yield Segment.line()


BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw numbers as one line of at most `width` bars; neighbours are averaged where there are more."""
    if not values:
        return ""
    columns = min(width, len(values))
    edges = [len(values) * index // columns for index in range(columns + 1)]
    means = [fmean(values[start:stop]) for start, stop in pairwise(edges)]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(BARS[round((mean - low) / span * (len(BARS) - 1))] for mean in means)


def _half_blocks(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> Iterator[Segment]:
    """Draw two rows of pixels [width, 3] as one line of cells in two colours each."""
    for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
        yield Segment("▀", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))


def _shades(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> Iterator[Segment]:
    """Draw two rows of pixels [width, 3] as one line of characters."""
    light = (upper.astype(float) + lower).mean(axis=1) / 2
    yield Segment("".join(SHADES[int(value * len(SHADES) / 256)] for value in light))

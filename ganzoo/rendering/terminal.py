"""A picture made of characters: two coloured pixels in each cell, or a shade where there are no colours."""

from __future__ import annotations

from collections.abc import Iterator
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
"""What stands for dark to light where the terminal shows no colours."""


class TerminalPicture:
    """A Rich renderable that fits an image to the terminal's width (and at most `max_width` cells)."""

    def __init__(self, image: Image.Image, max_width: int = 80) -> None:
        self.image, self.max_width = image, max_width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, self.max_width)
        height = max(2, round(self.image.height * width / self.image.width / 2) * 2)
        pixels = np.asarray(self.image.convert("RGB").resize((width, height), Image.Resampling.BOX))
        coloured = console.color_system is not None and not console.no_color
        for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
            yield from _half_blocks(upper, lower) if coloured else _shades(upper, lower)
            yield Segment.line()


def _half_blocks(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> Iterator[Segment]:
    """Draw two rows of pixels [width, 3] in the two colours of each cell."""
    for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
        yield Segment("▀", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))


def _shades(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> Iterator[Segment]:
    """Draw two rows of pixels [width, 3] as one row of characters, the lighter the denser."""
    light = (upper.astype(float) + lower).mean(axis=1) / 2
    yield Segment("".join(SHADES[int(value * len(SHADES) / 256)] for value in light))

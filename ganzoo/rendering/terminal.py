"""A picture made of half blocks: two pixels in each character cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


class TerminalPicture:
    """A Rich renderable that fits an image to the terminal's width (and at most `max_width` cells)."""

    def __init__(self, image: Image.Image, max_width: int = 80) -> None:
        self.image, self.max_width = image, max_width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, self.max_width)
        height = max(2, round(self.image.height * width / self.image.width / 2) * 2)
        pixels = self.image.convert("RGB").resize((width, height), Image.Resampling.BOX).load()
        assert pixels is not None
        for row in range(0, height, 2):
            for column in range(width):
                upper, lower = pixels[column, row], pixels[column, row + 1]
                yield Segment("▀", Style(color=_color(upper), bgcolor=_color(lower)))
            yield Segment.line()


def _color(pixel: tuple[int, ...]) -> Color:
    return Color.from_rgb(*pixel[:3])

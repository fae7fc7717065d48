"""Samples beside the real images that they are nearest to, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from ganzoo.rendering.canvas import INK, Canvas
from ganzoo.rendering.picture import png_bytes
from ganzoo.system.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

_SIDE = 72
"""Pixels of the longer side of an image; small ones are enlarged by a whole factor to about that."""
_GAP, _MARGIN, _HEAD = 6, 18, 96
_LABEL = 52  # beside each row
_WARNING = (196, 56, 44)
_MIN_WIDTH = 1060  # for the lines above


def save_neighbours(
    rows: Sequence[Tensor], ratios: Sequence[float], low: float, title: tuple[str, str], path: Path
) -> None:
    """Write a PNG with a row for each sample, the whole file or none. Raises OSError.

    Args:
        rows: a sample and the real images nearest to it, uint8 [1 + k, channels, height, width], each of one size.
        ratios: of each sample, its distance to the nearest real image over that image's own distance to another one.
        low: ratios up to this one are marked: of real images, one in a hundred is below.
        title: two lines above.
        path: the file.
    """
    write_atomically(path, png_bytes(_sheet(rows, ratios, low, title)))


def _sheet(rows: Sequence[Tensor], ratios: Sequence[float], low: float, title: tuple[str, str]) -> Image.Image:
    per_row, _, height, width = rows[0].shape
    scale = _SIDE / max(height, width)
    scale = max(1, round(scale)) if scale > 0.5 else scale  # whole factors keep pixels sharp
    cell_width, cell_height = round(width * scale), round(height * scale)
    block = _LABEL + per_row * (cell_width + _GAP) + 2 * _GAP  # the sample stands a little apart
    columns = min(len(rows), max(1 if len(rows) < 6 else 2, (_MIN_WIDTH - _MARGIN) // (block + _MARGIN)))
    per_column = -(-len(rows) // columns)
    canvas = Canvas(
        max(_MIN_WIDTH, _MARGIN + columns * (block + _MARGIN)), _HEAD + per_column * (cell_height + _GAP) + _MARGIN
    )
    canvas.text((_MARGIN, 14), title[0], "lt", size=18)
    canvas.text((_MARGIN, 42), title[1], "lt", size=14)
    note = "Number: distance to the nearest real image, over the distance of that one to its own nearest other."
    marked = f"Red: up to {low:.2f}, which one in a hundred real images is below."
    canvas.text((_MARGIN, 64), f"{note} {marked}", "lt", size=14)
    cells = []
    for number, (images, ratio) in enumerate(zip(rows, ratios, strict=True)):
        column, row = divmod(number, per_column)  # down the first column, then the next
        left, top = _MARGIN + column * (block + _MARGIN), _HEAD + row * (cell_height + _GAP)
        label = f"{ratio:.2f}" if ratio < 100 else ">99"
        canvas.text((left + _LABEL - 8, top + cell_height / 2), label, "rm", INK if ratio > low else _WARNING, size=14)
        for position, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
            picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
            resampling = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
            x = left + _LABEL + position * (cell_width + _GAP) + (2 * _GAP if position else 0)
            cells.append((picture.resize((cell_width, cell_height), resampling), (x, top)))
    sheet = canvas.finish()
    for picture, place in cells:  # after the canvas was shrunk, which would blur them
        sheet.paste(picture, place)
    return sheet

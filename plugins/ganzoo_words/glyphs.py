"""Letters of the bundled typefaces, drawn once in each size, and their layout in a word.

Lengths are in ems unless stated in pixels. x points right and y down; the baseline is y = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from io import BytesIO
from string import ascii_letters

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

FONTS = (
    "Breip.ttf",
    "Cantarell-ExtraBold.otf",
    "Cantarell-Regular.otf",
    "ComicNeue-Bold.otf",
    "Courier Prime Bold.otf",
    "DancingScript-Bold.otf",
    "GFSDidotItalic.otf",
    "Inconsolata.otf",
    "LobsterTwo-Bold.otf",
    "Quattrocento-Regular.otf",
    "RobotoSlab-Bold.otf",
    "YanoneKaffeesatz-Bold.otf",
)
"""Files in `fonts/`, where their sources and licences are listed. A seed's images depend on their order."""

HEAVY = np.array([name.endswith(("ExtraBold.otf", "Slab-Bold.otf", "Two-Bold.otf")) for name in FONTS])
"""[fonts], whether the strokes are thick enough to be drawn as outlines."""

THIN = np.array([name.startswith("Breip") for name in FONTS])
"""[fonts], whether the strokes are so thin that they need high contrast."""

SIZES = (12, 16, 24, 32, 48)
"""Pixels per em of the cached letters: twelve fonts of 52 letters in these sizes take about 4 MB."""

_METRICS_SIZE = 256  # so large that hinting hardly moves edges


@dataclass(frozen=True)
class Glyph:
    """One letter in one size."""

    ink: NDArray[np.uint8]
    """[height, width], 0 to 255."""
    left: int
    """Pixels from the pen to the first column."""
    top: int
    """Pixels from the baseline to the first row; mostly negative."""


@dataclass(frozen=True)
class Layout:
    """Positions of the letters of some words."""

    pens: NDArray[np.float64]
    """[num, letters], x of each letter's pen; undefined after a word's end."""
    left: NDArray[np.float64]
    """[num], like the other three: the bounding box of each word's ink."""
    top: NDArray[np.float64]
    right: NDArray[np.float64]
    bottom: NDArray[np.float64]


@cache
def _content(font: int) -> bytes:
    return resources.files(__package__).joinpath("fonts", FONTS[font]).read_bytes()


@cache
def _face(font: int, size: int) -> ImageFont.FreeTypeFont:
    # Every build of Pillow has the basic layout engine; the other one spaces letters differently.
    return ImageFont.truetype(BytesIO(_content(font)), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def glyph(font: int, size: int, letter: str) -> Glyph:
    """Return an ASCII letter of FONTS[font], at `size` pixels per em."""
    # anchor ls: left end of the baseline, so that offsets are relative to the pen.
    mask, (left, top) = _face(font, size).getmask2(letter, mode="L", anchor="ls")
    width, height = mask.size
    return Glyph(np.frombuffer(bytes(mask), np.uint8).reshape(height, width), int(left), int(top))


@cache
def _metrics(font: int) -> NDArray[np.float64]:
    """Advance, left, top, right and bottom of each of the 52 letters: [52, 5]."""
    face = _face(font, _METRICS_SIZE)
    # Measured once, at 256 pixels per em, and scaled from there: the layout of a word does not depend on its size.
    rows = [(face.getlength(letter), *face.getbbox(letter, anchor="ls")) for letter in ascii_letters]
    return np.array(rows) / _METRICS_SIZE


def lay_out(words: list[str], fonts: NDArray[np.int64], tracking: NDArray[np.float64]) -> Layout:
    """Lay out words of ASCII letters, each in its own font [num], with additional letter spacing [num]."""
    # Words are padded to one length with `a`, and the padding is masked: one look-up [num, letters] serves all.
    longest = max(map(len, words))
    codes = np.array([[ascii_letters.index(letter) for letter in word.ljust(longest, "a")] for word in words])
    behind = np.arange(longest) >= np.array(list(map(len, words)))[:, None]
    table = np.stack([_metrics(font) for font in range(len(FONTS))])  # [fonts, 52, 5]
    advance, left, top, right, bottom = np.moveaxis(table[fonts[:, None], codes], -1, 0)  # each [num, letters]
    steps = advance + tracking[:, None]
    pens = np.cumsum(steps, axis=1) - steps  # exclusive: the first pen is at 0
    return Layout(
        pens,
        left=np.where(behind, np.inf, pens + left).min(axis=1),
        top=np.where(behind, np.inf, top).min(axis=1),
        right=np.where(behind, -np.inf, pens + right).max(axis=1),
        bottom=np.where(behind, -np.inf, bottom).max(axis=1),
    )

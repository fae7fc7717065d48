"""Words and styles -> images 32 pixels high.

Letters are placed on a canvas near their final size, which is then resampled with each word's geometry. All later steps
work on the whole batch at once.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ganzoo_words.glyphs import SIZES, Layout, glyph, lay_out
from ganzoo_words.styles import Styles

HEIGHT = 32
"""Rows of every image."""

_PART = 64  # words rendered at a time, so that their tensors stay in the processor's cache
_PAD = 2  # empty pixels around the ink on the canvas
_ENDS = np.linspace(-1, 1, 9)  # points across a word at which its transformed outline is evaluated


def render(words: list[str], styles: Styles, source: torch.Generator, width: int = 128) -> tuple[Tensor, Tensor]:
    """Return uint8 images [num, 32, width] and, as int64 [num], how wide each is.

    A narrower word repeats its last column; a wider one is squeezed. Words consist of ASCII letters, `width` is a
    multiple of 8, and noise is drawn from `source`, a CPU generator.
    """
    images = torch.empty(len(words), HEIGHT, width, dtype=torch.uint8)
    widths = torch.empty(len(words), dtype=torch.int64)
    for start in range(0, len(words), _PART):
        part = slice(start, start + _PART)
        _render(words[part], styles.part(start, start + _PART), source, images[part], widths[part])
    return images, widths


def _render(words: list[str], styles: Styles, source: torch.Generator, images: Tensor, widths: Tensor) -> None:
    """Render one part into `images` and `widths`."""
    layout = lay_out(words, styles.font, styles.tracking)
    num, height, width = images.shape
    scale, left, top, natural = _place(layout, styles)
    # Words wider than the image are squeezed. The letters' size is a compromise between the two axes then: the
    # geometric mean of their scales.
    squeeze = np.minimum(1, width / natural)
    canvas, sizes = _set(words, layout, styles, scale * np.sqrt(squeeze))
    grid = _origins(layout, styles, scale, left, top, squeeze, width, sizes, canvas.shape)
    ink = functional.grid_sample(canvas, grid, align_corners=False)[:, 0] / 255  # [num, 32, width], 0 to 1

    fine, coarse = (_unevenness(num, width, cell, source) for cell in (4, 16))
    ground = _column(styles.ground) + _column(styles.texture) * (_column(styles.hardness) * coarse).clamp_(-1.5, 1.5)
    _cast_shadows(ground, canvas, grid, styles, scale, squeeze, sizes)
    _draw_borders(ground, ink, styles)
    image = torch.lerp(ground, _column(styles.text) + _column(styles.wear) * fine, ink)  # ink 0 is ground, 1 is text

    # In the order in which a photograph gets them: blur, noise, then JPEG.
    image = _blur(image, styles.blur)
    image += _column(styles.noise) * torch.randn(image.shape, generator=source)
    image = _compress(image.clamp_(0, 255), styles.compression)
    # The last column goes on to the right, so that the end of a narrow word shows no edge.
    last = torch.from_numpy(np.minimum(np.ceil(natural), width).astype(np.int64)) - 1
    columns = torch.minimum(torch.arange(width), last[:, None])
    image = image.gather(2, columns[:, None].expand(num, height, width))
    images.copy_(image.round_().clamp_(0, 255))
    widths.copy_(last + 1)


def _column(values: NDArray[np.float64]) -> Tensor:
    """[num] -> float32 [num, 1, 1]."""
    return torch.from_numpy(values.astype(np.float32))[:, None, None]


def _place(layout: Layout, styles: Styles) -> tuple[NDArray[np.float64], ...]:
    """Return pixels per em, the image's corner relative to the word's centre (x and y, ems), and the natural width."""
    half_width, half_height = (layout.right - layout.left) / 2, (layout.bottom - layout.top) / 2
    across = np.concatenate([_ENDS, _ENDS])
    down = np.concatenate([-np.ones_like(_ENDS), np.ones_like(_ENDS)])
    y = half_height[:, None] * down * (1 + styles.taper[:, None] * across)
    y += (styles.bend * half_width)[:, None] * across**2
    x = half_width[:, None] * across - styles.shear[:, None] * y
    cosine, sine = np.cos(styles.rotation)[:, None], np.sin(styles.rotation)[:, None]
    # The outline after taper, bend, shear and rotation, from which size and place follow.
    x, y = cosine * x - sine * y, sine * x + cosine * y
    scale = HEIGHT * styles.fill / np.ptp(y, axis=1)
    left = x.min(axis=1) - styles.margin_left / scale
    top = y.min(axis=1) - HEIGHT * (1 - styles.fill) * styles.rise / scale
    return scale, left, top, np.ptp(x, axis=1) * scale + styles.margin_left + styles.margin_right


def _set(
    words: list[str], layout: Layout, styles: Styles, wanted: NDArray[np.float64]
) -> tuple[Tensor, NDArray[np.float64]]:
    """Return the words on canvases, float32 [num, 1, height, width] in 0 to 255, and their pixels per em [num].

    The upper left corner of a word's ink is _PAD pixels from the canvas's. `wanted` are the pixels per em that suit the
    image.
    """
    # The smallest cached size that need not be enlarged by more than 1 / 0.85: grid_sample interpolates without
    # smoothing, so a much larger one would alias.
    sizes = np.array(SIZES)[np.minimum(np.searchsorted(SIZES, 0.85 * wanted), len(SIZES) - 1)]
    # One more pixel on each side, because hinting may enlarge letters by a pixel.
    rows = math.ceil(((layout.bottom - layout.top) * sizes).max()) + 2 * _PAD + 2
    columns = math.ceil(((layout.right - layout.left) * sizes).max()) + 2 * _PAD + 2
    canvas = np.zeros((len(words), 1, rows, columns), np.float32)
    pens = np.rint((layout.pens - layout.left[:, None]) * sizes[:, None]).astype(np.int64) + _PAD
    baselines = np.rint(-layout.top * sizes).astype(np.int64) + _PAD
    for word, font, size, page, row, baseline in zip(
        words, styles.font.tolist(), sizes.tolist(), canvas[:, 0], pens.tolist(), baselines.tolist(), strict=True
    ):
        for letter, pen in zip(word, row, strict=False):
            drawn = glyph(font, size, letter)
            y, x = max(baseline + drawn.top, 0), max(pen + drawn.left, 0)
            place = page[y : y + drawn.ink.shape[0], x : x + drawn.ink.shape[1]]
            # Script letters overlap; their ink does not add up.
            np.maximum(place, drawn.ink[: place.shape[0], : place.shape[1]], out=place)
    return torch.from_numpy(canvas), sizes.astype(np.float64)


def _origins(
    layout: Layout,
    styles: Styles,
    scale: NDArray[np.float64],
    left: NDArray[np.float64],
    top: NDArray[np.float64],
    squeeze: NDArray[np.float64],
    width: int,
    sizes: NDArray[np.float64],
    canvas: torch.Size,
) -> Tensor:
    """Return the canvas position of each pixel, in grid_sample's coordinates: [num, 32, width, 2].

    The inverse of `_place`: undo rotation, shear, bend and taper, in this order.
    """
    x = _column(left) + (torch.arange(width) + 0.5) * _column(1 / (scale * squeeze))  # [num, 1, width]
    y = _column(top) + (torch.arange(HEIGHT)[:, None] + 0.5) * _column(1 / scale)  # [num, 32, 1]
    cosine, sine = _column(np.cos(styles.rotation)), _column(np.sin(styles.rotation))
    # Rotation by the opposite angle: its matrix, transposed.
    x, y = cosine * x + sine * y, cosine * y - sine * x
    x += _column(styles.shear) * y
    half_width = (layout.right - layout.left) / 2
    across = x * _column(1 / half_width)
    y -= _column(styles.bend * half_width) * across.square()
    y /= 1 + _column(styles.taper) * across.clamp_(-1.5, 1.5)
    # With align_corners=False, -1 and 1 are the outer edges of the canvas: pixel p is at (2 p + 1) / size - 1.
    grid = torch.empty(*x.shape, 2)
    grid[..., 0] = (x + _column(half_width)) * _column(2 * sizes / canvas[3]) + (2 * _PAD / canvas[3] - 1)
    grid[..., 1] = (y + _column((layout.bottom - layout.top) / 2)) * _column(2 * sizes / canvas[2])
    grid[..., 1] += 2 * _PAD / canvas[2] - 1
    return grid


def _unevenness(num: int, width: int, cell: int, source: torch.Generator) -> Tensor:
    """Return smooth noise [num, 32, width] with a standard deviation near 1 and patches `cell` pixels wide."""
    knots = torch.randn(num, 1, HEIGHT // cell + 1, width // cell + 1, generator=source)
    smooth = functional.interpolate(knots, (HEIGHT, width), mode="bilinear", align_corners=True)
    return smooth[:, 0] * 1.5  # interpolation averages some of it away


def _cast_shadows(
    ground: Tensor,
    canvas: Tensor,
    grid: Tensor,
    styles: Styles,
    scale: NDArray[np.float64],
    squeeze: NDArray[np.float64],
    sizes: NDArray[np.float64],
) -> None:
    """Blend the shadows of some words into `ground`."""
    (index,) = np.nonzero(~np.isnan(styles.shadow))
    if not len(index):
        return
    step = np.stack([styles.shadow_x / squeeze / canvas.shape[3], styles.shadow_y / canvas.shape[2]], axis=-1)
    step = step * (2 * sizes / scale)[:, None]  # pixels of the image -> the grid's coordinates
    moved = grid[index] - torch.from_numpy(step[index].astype(np.float32))[:, None, None]  # [shadowed, 32, width, 2]
    cast = functional.grid_sample(canvas[index], moved, align_corners=False)[:, 0] / 255
    ground[index] = torch.lerp(ground[index], _column(styles.shadow[index]), cast)


def _draw_borders(ground: Tensor, ink: Tensor, styles: Styles) -> None:
    """Draw borders around the letters of some words, and under their ink."""
    (index,) = np.nonzero(~np.isnan(styles.border))
    if not len(index):
        return
    wide = functional.max_pool2d(ink[index], 3, stride=1, padding=1)  # ink grown by a pixel on each side
    ground[index] = torch.lerp(ground[index], _column(styles.border[index]), wide)


def _blur(image: Tensor, sigma: NDArray[np.float64]) -> Tensor:
    """Blur each image with its own Gaussian, cut off after two pixels."""
    taps = np.exp(-0.5 * (np.arange(3) / sigma[:, None]) ** 2)  # [num, 3]: the middle, one and two pixels away
    taps /= (taps * [1, 2, 2]).sum(axis=1, keepdims=True)
    middle, near, far = (_column(tap) for tap in taps.T)
    padded = functional.pad(image[:, None], (2, 2, 2, 2), mode="replicate")[:, 0]
    # Separable: 5 + 5 products for each pixel instead of 25; first down the columns, then along the rows.
    rows = (
        middle * padded[:, 2:-2] + near * (padded[:, 1:-3] + padded[:, 3:-1]) + far * (padded[:, :-4] + padded[:, 4:])
    )
    return (
        middle * rows[:, :, 2:-2]
        + near * (rows[:, :, 1:-3] + rows[:, :, 3:-1])
        + far * (rows[:, :, :-4] + rows[:, :, 4:])
    )


def _compress(image: Tensor, strength: NDArray[np.float64]) -> Tensor:
    """Quantise the cosine transform of 8 × 8 blocks as JPEG does; images are [num, 32, width]."""
    cosines, table = _jpeg()
    num, height, width = image.shape
    blocks = (image - 128).reshape(num, height // 8, 8, width // 8, 8).transpose(2, 3)  # [num, rows, columns, 8, 8]
    step = (table * _column(strength)).clamp_(1)[:, None, None]  # [num, 1, 1, 8, 8]
    coefficients = (cosines @ blocks @ cosines.T / step).round_() * step  # C B Cᵀ, and Cᵀ K C back: C is orthonormal
    return (cosines.T @ coefficients @ cosines).transpose(2, 3).reshape(num, height, width) + 128


@cache
def _jpeg() -> tuple[Tensor, Tensor]:
    """Return the orthonormal cosine transform and the luminance table of ITU-T T.81, annex K.1: both [8, 8]."""
    frequency, place = np.arange(8)[:, None], np.arange(8)
    cosines = np.cos(np.pi * frequency * (2 * place + 1) / 16) * np.where(frequency == 0, np.sqrt(1 / 8), 0.5)
    table = """
        16 11 10 16 24 40 51 61       12 12 14 19 26 58 60 55
        14 13 16 24 40 57 69 56       14 17 22 29 51 87 80 62
        18 22 37 56 68 109 103 77     24 35 55 64 81 104 113 92
        49 64 78 87 103 121 120 101   72 92 95 98 112 100 103 99
    """
    return torch.from_numpy(cosines).float(), torch.tensor(list(map(float, table.split()))).reshape(8, 8)

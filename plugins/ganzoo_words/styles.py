"""How a word is drawn (typeface, geometry, shades, wear), and the distribution of these styles.

It imitates MJSynth in grey at height 32: the same spread of shades and contrasts, half of the words darker than their
background, most of them nearly straight, some bent, outlined, shadowed, textured or blurred.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganzoo_words.glyphs import FONTS, HEAVY, THIN

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Styles:
    """One style per word: every field is [num]. Shades are 0 to 255."""

    font: NDArray[np.int64]
    """Index into FONTS."""
    tracking: Numbers
    """Additional letter spacing, ems."""
    rotation: Numbers
    """Radians, clockwise."""
    shear: Numbers
    """Pixels by which each row is shifted left relative to the row above; positive slants like italics."""
    bend: Numbers
    """How far the ends lie below the middle, in units of half the word's width."""
    taper: Numbers
    """Relative increase of height at the right end, and decrease at the left."""
    fill: Numbers
    """Share of the image's height that the ink takes."""
    rise: Numbers
    """Share of the free height above the ink."""
    margin_left: Numbers
    """Pixels left of the ink."""
    margin_right: Numbers
    """Pixels right of the ink."""
    ground: Numbers
    """Shade of the background."""
    text: Numbers
    """Shade of the word."""
    border: Numbers
    """Shade of a line around the letters; NaN for none."""
    shadow: Numbers
    """Shade of a shadow; NaN for none."""
    shadow_x: Numbers
    """Offset of the shadow to the right, pixels."""
    shadow_y: Numbers
    """Offset of the shadow downwards, pixels."""
    texture: Numbers
    """Standard deviation of the background's unevenness, in shades."""
    hardness: Numbers
    """Sharpness of the edges of its patches."""
    wear: Numbers
    """Standard deviation of the text's unevenness, in shades."""
    blur: Numbers
    """Standard deviation of the blur, pixels."""
    noise: Numbers
    """Standard deviation of the noise, in shades."""
    compression: Numbers
    """Quantisation step as a multiple of the JPEG standard's luminance table; 1 is quality 50."""

    def part(self, start: int, stop: int) -> Styles:
        """Return the styles [start, stop)."""
        return Styles(**{field.name: getattr(self, field.name)[start:stop] for field in dataclasses.fields(self)})


NUMBERS = 27
"""Uniform numbers per style."""


def choose_styles(numbers: Numbers) -> Styles:
    """Map numbers [num, NUMBERS], uniform on [0, 1), to styles."""
    # Every choice takes its own column, used or not: a word without a shadow does not shift the numbers of what
    # follows. The order of the calls is thus part of the distribution's definition.
    column: Iterator[Numbers] = iter(numbers.T)

    def between(low: float, high: float) -> Numbers:
        return low + (high - low) * next(column)

    def about_zero(limit: float, power: float) -> Numbers:
        """Within ± limit; a greater power concentrates values near zero."""
        signed = 2 * next(column) - 1
        values: Numbers = limit * np.sign(signed) * np.abs(signed) ** power
        return values

    def chance(probability: float) -> NDArray[np.bool_]:
        happens: NDArray[np.bool_] = next(column) < probability
        return happens

    font = np.floor(between(0, len(FONTS))).astype(np.int64)
    # From 40 to 230 on a logarithmic scale, with more weight on high contrasts: u ** 0.85 exceeds u.
    contrast = 40 * (230 / 40) ** between(0, 1) ** 0.85
    contrast = np.where(THIN[font], np.maximum(contrast, 90), contrast)
    darker = chance(0.5)
    # The background may have any shade that leaves room for the text.
    low = (255 - contrast) * between(0, 1) ** np.where(darker, 1.9, 1.0)  # dark words are mostly near black
    text, ground = np.where(darker, low, low + contrast), np.where(darker, low + contrast, low)

    # Of one number, so that a word has one effect at most: outlined or bordered below 0.25, a shadow up to 0.42.
    effect, beyond = next(column), between(0.3, 1.0)
    outlined = HEAVY[font] & (effect < 0.15)
    bordered = ~outlined & (effect < 0.25)
    shadowed = (effect >= 0.25) & (effect < 0.42)
    away = np.where(text < ground, 0.0, 255.0)  # the end of the scale nearer to the text
    opposite = 255 - away
    border = np.where(bordered, ground + beyond * (opposite - ground), np.where(outlined, text, np.nan))
    shadow = np.where(shadowed, ground + 0.6 * beyond * (np.where(chance(0.7), 0, opposite) - ground), np.nan)
    # An outlined word is a border in the color of the text, filled with the background.
    text = np.where(outlined, ground, text)

    return Styles(
        font=font,
        tracking=np.where(chance(0.2), between(0.05, 0.3), between(-0.01, 0.06)),
        rotation=about_zero(0.2, 2.5),
        shear=about_zero(0.35, 2.0),
        bend=np.where(chance(0.15), about_zero(0.3, 1.0), 0.0),
        taper=about_zero(0.25, 2.0),
        fill=between(0.66, 1.0),
        rise=between(0.2, 0.8),
        margin_left=between(0.5, 9),
        margin_right=between(0.5, 9),
        ground=ground,
        text=text,
        border=border,
        shadow=shadow,
        shadow_x=between(-2.5, 2.5),
        shadow_y=between(0.5, 2.5),
        texture=contrast * between(0, 1) ** 5 * 0.28,
        hardness=between(0.5, 4),
        wear=contrast * between(0, 1) ** 4 * 0.25,
        blur=between(0.2, 0.6),
        noise=0.3 + contrast * between(0, 1) ** 4 * 0.04,
        compression=between(0.08, 0.85),
    )

"""Pictures in pixels, for terminals that draw them: the protocols of kitty and iTerm2, and sixel."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganzoo.rendering.picture import png_bytes

Protocol = Literal["kitty", "iterm2", "sixel"]

CELL_WIDTH = 10
"""Pixels of a character where the terminal does not say; used for sixel, which has no other unit."""
MAX_CELL_WIDTH = 20
"""More pixels for a character than any terminal shows would only be sent in vain."""

_KITTY_CHUNK = 4096  # characters of base64 in one escape sequence, the most that the protocol allows
_SIXEL_COLOURS = 128

_TERM_PROGRAMS: dict[str, Protocol] = {
    "ghostty": "kitty",
    "iTerm.app": "iterm2",
    "WezTerm": "iterm2",
    "mintty": "iterm2",
}


def graphics_protocol(environment: Mapping[str, str]) -> Protocol | None:
    """Return the protocol of a terminal that says in its environment that it has one, or None.

    GANZOO_GRAPHICS (kitty, iterm2, sixel or none) overrides what is found: some terminals, such as xterm, have sixel
    but do not say so. Within tmux and screen there is none, because they do not pass pictures on.
    """
    chosen = environment.get("GANZOO_GRAPHICS", "")
    if chosen:
        return next((protocol for protocol in get_args(Protocol) if protocol == chosen), None)
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if "TMUX" in environment or "STY" in environment or term.startswith(("screen", "tmux")):
        return None
    if program:  # first: a terminal that was started from another one inherits the other variables
        return _TERM_PROGRAMS.get(program)
    if term in ("xterm-kitty", "xterm-ghostty"):
        return "kitty"
    if environment.get("LC_TERMINAL") == "iTerm2":  # which ssh passes on
        return "iterm2"
    return "sixel" if term.startswith(("foot", "mlterm", "yaft")) or "sixel" in term else None


def graphics(image: Image.Image, protocol: Protocol, columns: int, cell_width: int = CELL_WIDTH) -> str:
    """Return the escape sequences that draw an image as wide as `columns` characters, at the cursor.

    Args:
        image: grey or RGB.
        protocol: what the terminal understands.
        columns: width; the height follows from the image.
        cell_width: pixels of a character, for sixel.
    """
    if protocol == "sixel":
        width = columns * cell_width
        size = width, max(1, round(image.height * width / image.width))
        return "".join(_sixel(image.convert("RGB").resize(size, Image.Resampling.BOX)))
    most = columns * MAX_CELL_WIDTH
    if image.width > most:
        image = image.resize((most, max(1, round(image.height * most / image.width))), Image.Resampling.LANCZOS)
    data = base64.b64encode(png_bytes(image)).decode("ascii")
    if protocol == "iterm2":
        return f"\x1b]1337;File=inline=1;width={columns};height=auto:{data}\a"
    return "".join(_kitty(data, columns))


def _kitty(data: str, columns: int) -> Iterator[str]:
    """https://sw.kovidgoyal.net/kitty/graphics-protocol: transmit (a=T) a PNG (f=100), and answer nothing (q=2)."""
    for start in range(0, len(data), _KITTY_CHUNK):
        more = int(start + _KITTY_CHUNK < len(data))
        keys = f"a=T,f=100,q=2,c={columns},m={more}" if start == 0 else f"m={more}"
        yield f"\x1b_G{keys};{data[start : start + _KITTY_CHUNK]}\x1b\\"


def _sixel(image: Image.Image) -> Iterator[str]:
    """Encode bands of six rows: for each colour, a character for each column, whose bits are pixels (VT330)."""
    reduced = image.quantize(_SIXEL_COLOURS, dither=Image.Dither.NONE)
    palette = np.asarray(reduced.getpalette() or [], np.float64).reshape(-1, 3) * 100 / 255
    indices = np.asarray(reduced)
    yield f'\x1bP0;1q"1;1;{image.width};{image.height}'
    for index in np.unique(indices):
        red, green, blue = palette[index].round().astype(int)
        yield f"#{index};2;{red};{green};{blue}"
    for top in range(0, image.height, 6):
        band = indices[top : top + 6]
        weights = 1 << np.arange(len(band))
        rows = [f"#{index}{_runs(((band == index) * weights[:, None]).sum(axis=0))}" for index in np.unique(band)]
        yield "$".join(rows) + "-"
    yield "\x1b\\"


def _runs(bits: NDArray[np.int64]) -> str:
    """Encode a row of characters, of which equal ones are counted."""
    starts = np.flatnonzero(np.diff(bits, prepend=-1))
    lengths = np.diff(starts, append=len(bits))
    runs = zip((chr(63 + value) for value in bits[starts].tolist()), lengths.tolist(), strict=True)
    return "".join(f"!{num}{sign}" if num > 3 else sign * num for sign, num in runs)

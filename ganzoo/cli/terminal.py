"""Pictures drawn in the terminal: in pixels where it says that it can, else with characters."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ganzoo.cli.output import out

if TYPE_CHECKING:
    from rich.console import Console

    from ganzoo.model import GAN
    from ganzoo.rendering import TerminalPicture
    from ganzoo.rendering.request import Request

MAX_WIDTH = 80
"""Columns of a picture."""

LEGIBLE = 10
"""Pixels of the shorter side of an image in the terminal, where a line has two."""


def draw(console: Console, picture: TerminalPicture) -> None:
    """Draw a picture at the cursor, and go to the next line."""
    from ganzoo.rendering.graphics import graphics, graphics_protocol

    coloured = console.is_terminal and console.color_system is not None and not console.no_color
    protocol = graphics_protocol(os.environ) if coloured else None
    if protocol is None:
        console.print(picture, end="")
        return
    columns, _ = picture.size(console.width)
    console.file.write(graphics(picture.image, protocol, columns, *_cell_width()) + "\n")
    console.file.flush()


def _cell_width() -> list[int]:
    """Return the pixels of a character, if the terminal says how many it has; else nothing."""
    try:
        import fcntl
        import struct
        import termios

        answer = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(8))
    except (ImportError, OSError, ValueError):  # Windows, or no terminal
        return []
    _, columns, width, _ = struct.unpack("HHHH", answer)
    return [width // columns] if columns and width >= columns else []


def show_samples(gan: GAN, requested: Request) -> None:
    """Draw samples in the terminal: all of them if they fit, else as many images as can still be recognised.

    Raises UsageError.
    """
    import torch

    from ganzoo.rendering import TerminalPicture, check_drawable, for_terminal, image_grid, picture
    from ganzoo.rendering.sample import NUM

    console, spec, given = out.console(), gan.config.sample, requested.given
    num = requested.count(NUM)
    check_drawable(num, spec)
    width, lines = min(console.width, MAX_WIDTH), max(1, console.height - 3)  # the prompt and what is said below
    samples = torch.cat(list(requested.batches(gan, num)[0])).cpu()
    drawn = TerminalPicture(for_terminal(picture(samples, spec, requested.columns), spec), max_width=width)
    shown = num
    if drawn.size(width)[1] > lines and spec.kind == "image" and requested.columns is None:
        scale = LEGIBLE / min(spec.shape[1:])
        columns, rows = (
            max(1, int(room / (scale * side))) for room, side in zip((width, 2 * lines), spec.shape[:0:-1], strict=True)
        )
        shown = min(num, columns * rows)
        drawn = TerminalPicture(image_grid(samples[:shown], min(columns, shown)), max_width=width, max_height=lines)
    elif drawn.size(width)[1] > lines:
        drawn.max_height = lines
    draw(console, drawn)
    # Below the picture: what stands above a tall one has scrolled away.
    if given is not None:
        told = f"{num} latents"
    elif requested.seeds is not None:
        told = f"seeds {requested.facts['seeds']}"
    else:
        told = f"seed {requested.seed}"
    if "label" in requested.facts:
        told += f", label {requested.facts['label']}"
    out.talk(told + (f"; {shown} of {num}, all with --out samples.png" if shown < num else ""))

"""Samples drawn in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganzoo.cli.output import out

if TYPE_CHECKING:
    from ganzoo.model import GAN
    from ganzoo.rendering.request import Request

MAX_WIDTH = 80
"""Columns of a picture."""

LEGIBLE = 10
"""Pixels of the shorter side of an image in the terminal, where a line has two."""


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
    console.print(drawn, end="")
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

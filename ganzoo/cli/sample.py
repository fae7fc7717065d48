"""`ganzoo sample`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.options import Device, Json, Reference, Seed, Threads
from ganzoo.cli.output import out
from ganzoo.cli.progress import counting_bar, download_bars
from ganzoo.errors import UsageError
from ganzoo.system.devices import cpu_threads

if TYPE_CHECKING:
    from ganzoo.model import GAN
    from ganzoo.rendering.sample import Choices

MAX_WIDTH = 80
"""Columns of a picture in the terminal."""


def sample(
    reference: Reference,
    num: Annotated[int, typer.Option("--num", "-n", min=1, help="Number of samples.")] = 64,
    seed: Seed = None,
    label: Annotated[str | None, typer.Option(help="Name of the class, for class-conditional models.")] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option("--text", help="A text, for text-conditional models; several are taken in turn."),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Sampling option; `ganzoo show ARCHITECTURE` lists them."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--out", "-o", help="A .png, .npy or .safetensors file, or FOLDER/ for one file per sample."),
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Write tar shards of N samples (webdataset) to FOLDER/."),
    ] = None,
    interpolate: Annotated[
        int | None,
        typer.Option(min=2, max=60, metavar="N", help="Animate a loop through N seeds, to a .gif or .webp file."),
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Generate samples; without --out, show them in the terminal."""
    _check_request(target, shard_size, interpolate, json)

    from ganzoo.config import assignments_layer
    from ganzoo.randomness import random_seed
    from ganzoo.rendering.sample import class_index, sample_writer
    from ganzoo.sources import load

    # First, so that a wrong file name is reported before anything is downloaded.
    write = None if target is None else sample_writer(target, shard_size=shard_size, interpolate=interpolate)
    with download_bars() as access:
        gan = load(reference, device=device, access=access)
    choices: Choices = {
        "labels": class_index(gan, label),
        "texts": texts or None,
        "options": assignments_layer(assignments or ()).values,
    }
    chosen_seed = random_seed() if seed is None else seed
    if write is None:
        with cpu_threads(threads):
            _show(gan, num, chosen_seed, choices)
        return
    if seed is None:
        out.talk(f"seed {chosen_seed}")
    bar = counting_bar("sampling") if num > gan.batch_size else nullcontext()
    with cpu_threads(threads), bar as progress:
        written = write(gan, num, chosen_seed, choices, progress)
    if json:
        out.json({**asdict(written), "path": str(written.path)})
    else:
        out.line(written.path)


def _check_request(target: str | None, shard_size: int | None, interpolate: int | None, json: bool) -> None:
    """Refuse options that do not go together. Raises UsageError."""
    if interpolate is not None and target is None:
        raise UsageError("an interpolation needs a file.", hint="Name one with --out loop.gif")
    if target is None and (json or not sys.stdout.isatty()):
        fault = "--json needs a file to describe" if json else "output is not a terminal"
        raise UsageError(f"{fault}.", hint="Save to a file with --out samples.png")
    if shard_size is not None and (target is None or interpolate is not None):
        raise UsageError("shards need a folder, and cannot be animated.", hint="Name a folder with --out samples/")


LEGIBLE = 10
"""Pixels of the shorter side of an image in the terminal, where a line has two."""


def _show(gan: GAN, num: int, seed: int, choices: Choices) -> None:
    """Draw samples in the terminal: all of them if they fit, else as many images as can still be recognised."""
    from ganzoo.rendering import TerminalPicture, check_drawable, for_terminal, image_grid, picture

    console, spec = out.console(), gan.config.sample
    check_drawable(num, spec)
    width, lines = min(console.width, MAX_WIDTH), max(1, console.height - 3)  # the prompt and what is said below
    samples = gan.sample(num, seed=seed, **choices).cpu()
    drawn = TerminalPicture(for_terminal(picture(samples, spec), spec), max_width=width)
    shown = num
    if drawn.size(width)[1] > lines and spec.kind == "image":
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
    out.talk(f"seed {seed}" + (f"; {shown} of {num}, all with --out samples.png" if shown < num else ""))

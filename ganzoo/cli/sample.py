"""`ganzoo sample`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.options import Device, Json, Reference, Seed, Threads
from ganzoo.cli.output import out
from ganzoo.cli.progress import counting_bar, download_bars
from ganzoo.errors import UsageError
from ganzoo.system.devices import cpu_threads

if TYPE_CHECKING:
    from ganzoo.model import GAN
    from ganzoo.rendering.sample import Request

NUM = 64
"""Samples if no number is asked for."""

MAX_WIDTH = 80
"""Columns of a picture in the terminal."""


def sample(
    reference: Reference,
    num: Annotated[int | None, typer.Option("--num", "-n", min=1, help="Number of samples; default: 64.")] = None,
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
    walk: Annotated[
        str | None,
        typer.Option(
            metavar="WALK",
            help="Change samples step by step, to a .gif, .webp or .png file: `latents` (of --latents), `classes`, or "
            "the number of a component of the latents.",
        ),
    ] = None,
    latents: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Latents instead of a seed's: a file of `ganzoo project`, or a .npy."),
    ] = None,
    truncation: Annotated[
        float | None,
        typer.Option(metavar="BOUND", help="Keep latents within ±BOUND: more typical samples, of less variety."),
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Generate samples; without --out, show them in the terminal."""
    _check_request(target, shard_size, interpolate is not None or walk is not None, json)

    from ganzoo.config import assignments_layer
    from ganzoo.rendering.sample import Choices, class_index, request, sample_writer
    from ganzoo.sources import load

    # First, so that a wrong file name is reported before anything is downloaded.
    write = None if target is None else sample_writer(target, shard_size=shard_size, interpolate=interpolate, walk=walk)
    with download_bars() as access:
        gan = load(reference, device=device, access=access)
    choices = Choices(
        labels=class_index(gan, label),
        texts=texts or None,
        options=assignments_layer(assignments or ()).values,
        truncation=truncation,
    )
    requested = request(gan, num, seed, choices, latents or ())
    if write is None:
        with cpu_threads(threads):
            _show(gan, requested)
        return
    if seed is None and requested.given is None:
        out.talk(f"seed {requested.seed}")
    bar = counting_bar("sampling") if (num or NUM) > gan.batch_size else nullcontext()
    with cpu_threads(threads), bar as progress:
        written = write(gan, requested, progress)
    if json:
        out.json({**asdict(written), "path": str(written.path)})
    else:
        out.line(written.path)


def _check_request(target: str | None, shard_size: int | None, moves: bool, json: bool) -> None:
    """Refuse options that do not go together. Raises UsageError."""
    if moves and target is None:
        raise UsageError("an interpolation or a walk needs a file.", hint="Name one with --out loop.gif")
    if target is None and (json or not sys.stdout.isatty()):
        fault = "--json needs a file to describe" if json else "output is not a terminal"
        raise UsageError(f"{fault}.", hint="Save to a file with --out samples.png")
    if shard_size is not None and (target is None or moves):
        raise UsageError("shards need a folder, and cannot be animated.", hint="Name a folder with --out samples/")


LEGIBLE = 10
"""Pixels of the shorter side of an image in the terminal, where a line has two."""


def _show(gan: GAN, requested: Request) -> None:
    """Draw samples in the terminal: all of them if they fit, else as many images as can still be recognised."""
    from ganzoo.rendering import TerminalPicture, check_drawable, for_terminal, image_grid, picture
    from ganzoo.rendering.sample import given_samples

    console, spec, given = out.console(), gan.config.sample, requested.given
    num = (requested.num or NUM) if given is None else len(given.latents)
    check_drawable(num, spec)
    width, lines = min(console.width, MAX_WIDTH), max(1, console.height - 3)  # the prompt and what is said below
    if given is None:
        samples = gan.sample(num, seed=requested.seed, **requested.choices).cpu()
    else:
        samples = given_samples(gan, given, requested).cpu()
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
    told = f"seed {requested.seed}" if given is None else f"{num} latents"
    out.talk(told + (f"; {shown} of {num}, all with --out samples.png" if shown < num else ""))

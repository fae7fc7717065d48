"""`ganzoo sample`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import asdict
from typing import Annotated

import typer

from ganzoo.cli.options import Device, Json, Reference, Seed, Threads
from ganzoo.cli.output import out
from ganzoo.cli.progress import counting_bar, download_bars
from ganzoo.errors import UsageError
from ganzoo.system.devices import cpu_threads


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
    from ganzoo.rendering import TerminalPicture, check_drawable, for_terminal, picture
    from ganzoo.rendering.sample import Choices, class_index, sample_writer
    from ganzoo.sources import load

    # First, so that a wrong file name is reported before anything is downloaded.
    write = None if target is None else sample_writer(target, shard_size=shard_size, interpolate=interpolate)
    with download_bars() as access:
        gan = load(reference, device=device, access=access)
    if write is None:
        check_drawable(gan.config.sample)
    choices: Choices = {
        "labels": class_index(gan, label),
        "texts": texts or None,
        "options": assignments_layer(assignments or ()).values,
    }
    chosen_seed = random_seed() if seed is None else seed
    if seed is None:
        out.talk(f"seed {chosen_seed}")
    if write is None:
        spec = gan.config.sample
        with cpu_threads(threads):
            samples = gan.sample(num, seed=chosen_seed, **choices).cpu()
        out.console().print(TerminalPicture(for_terminal(picture(samples, spec), spec)), end="")
        return
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

"""`ganzoo sample`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import asdict
from typing import Annotated

import typer

from ganzoo.cli.bar import counting_bar
from ganzoo.cli.fetching import fetching
from ganzoo.cli.options import Device, Json, Reference, Seed
from ganzoo.cli.output import out
from ganzoo.errors import UsageError


def sample(
    reference: Reference,
    num: Annotated[int, typer.Option("--num", "-n", min=1, help="How many samples.")] = 64,
    seed: Seed = None,
    label: Annotated[str | None, typer.Option(help="Class-conditional models: name of the class.")] = None,
    target: Annotated[
        str | None,
        typer.Option("--out", "-o", help="FILE.png, FILE.npy, FILE.safetensors, or FOLDER/ for single pictures."),
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Into FOLDER/: tar shards of N samples, as webdataset reads them."),
    ] = None,
    interpolate: Annotated[
        int | None,
        typer.Option(min=2, max=60, metavar="N", help="Go through N seeds in a loop, into FILE.gif or FILE.webp."),
    ] = None,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Generate samples: into a file, a folder, or (without --out) as a picture in the terminal."""
    _check_request(target, shard_size, interpolate, json)

    from ganzoo.randomness import random_seed
    from ganzoo.rendering import TerminalPicture, for_terminal, picture
    from ganzoo.rendering.sample import class_index, sample_writer
    from ganzoo.sources import load

    # A place that does not fit is an error before anything is fetched.
    write = None if target is None else sample_writer(target, shard_size=shard_size, interpolate=interpolate)
    with fetching() as access:
        gan = load(reference, device=device, access=access)
    chosen_seed, class_label = random_seed() if seed is None else seed, class_index(gan, label)
    if seed is None:
        out.talk(f"seed {chosen_seed}")
    if write is None:
        spec = gan.config.sample
        samples = gan.sample(num, seed=chosen_seed, labels=class_label).cpu()
        out.console().print(TerminalPicture(for_terminal(picture(samples, spec), spec)), end="")
        return
    with counting_bar("sampling") if num > gan.batch_size else nullcontext() as progress:
        written = write(gan, num, chosen_seed, class_label, progress)
    if json:
        out.json({**asdict(written), "path": str(written.path)})
    else:
        out.line(written.path)


def _check_request(target: str | None, shard_size: int | None, interpolate: int | None, json: bool) -> None:
    """Refuse options that do not go together. Raises UsageError."""
    if interpolate is not None and target is None:
        raise UsageError("an interpolation needs a file.", hint="Name one: --out loop.gif")
    if target is None and (json or not sys.stdout.isatty()):
        raise UsageError("there is no terminal to draw in.", hint="Name a file: --out samples.png")
    if shard_size is not None and (target is None or interpolate is not None):
        raise UsageError("shards need a folder, and hold no animation.", hint="Name one: --out samples/")

"""`ganzoo sample`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ganzoo.cli.options import Device, Json, Reference, Seed, Threads
from ganzoo.cli.output import out
from ganzoo.cli.progress import counting_bar, download_bars
from ganzoo.errors import UsageError
from ganzoo.system.devices import cpu_threads


def sample(
    reference: Reference,
    num: Annotated[int | None, typer.Option("--num", "-n", min=1, help="Number of samples; default: 64.")] = None,
    seed: Seed = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="SEEDS", help="A sample of each of these seeds, such as 0-7 or 3,14,15.")
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(metavar="ROWSxCOLUMNS", help="One picture of this shape, such as 10x8; each class has its row."),
    ] = None,
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
        typer.Option(
            "--out",
            "-o",
            help="A .png, .jpg, .webp, .npy or .safetensors file, FOLDER/ for one file per sample, or - for stdout.",
        ),
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Write tar shards of N samples (webdataset) to FOLDER/."),
    ] = None,
    interpolate: Annotated[
        int | None,
        typer.Option(min=2, max=60, metavar="N", help="Animate a loop through N seeds, to a .gif, .webp or .mp4 file."),
    ] = None,
    walk: Annotated[
        str | None,
        typer.Option(
            metavar="WALK",
            help="Change samples step by step, to a .gif, .webp, .mp4 or .png file: `latents` (of --latents), "
            "`classes`, or the number of a component of the latents.",
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
    step: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Sample the kept checkpoint of this step of a run.")
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Generate samples; without --out, show them in the terminal."""
    _check_request(target, shard_size, interpolate is not None or walk is not None, json)

    from ganzoo.config import assignments_layer
    from ganzoo.rendering.request import parse_grid, parse_seeds, request
    from ganzoo.rendering.sample import NUM, facts_of, sample_writer
    from ganzoo.sources import load

    # First, so that a wrong file name is reported before anything is downloaded.
    shape, parsed_seeds = None if grid is None else parse_grid(grid), None if seeds is None else parse_seeds(seeds)
    write = None
    if target is not None:
        write = sample_writer(
            target, shard_size=shard_size, interpolate=interpolate, walk=walk, grid=shape, seeds=parsed_seeds
        )
    with download_bars() as access:
        gan = load(reference, device=device, access=access, step=step)
    requested = request(
        gan,
        num,
        seed=seed,
        seeds=parsed_seeds,
        grid=shape,
        label=label,
        texts=texts or None,
        options=assignments_layer(assignments or ()).values,
        truncation=truncation,
        latents=latents or (),
        facts=facts_of(reference, step),
    )
    if write is None:
        from ganzoo.cli.terminal import show_samples

        with cpu_threads(threads):
            show_samples(gan, requested)
        return
    if seed is None and parsed_seeds is None and requested.given is None:
        out.talk(f"seed {requested.seed}")
    bar = counting_bar("sampling") if requested.count(NUM) > gan.batch_size else nullcontext()
    with cpu_threads(threads), bar as progress:
        written = write(gan, requested, progress)
    if json:
        out.json({**asdict(written), "path": str(written.path)})
    elif target != "-":
        out.line(written.path)


def _check_request(target: str | None, shard_size: int | None, moves: bool, json: bool) -> None:
    """Refuse options that do not go together. Raises UsageError."""
    if moves and target is None:
        raise UsageError("an interpolation or a walk needs a file.", hint="Name one with --out loop.gif")
    if target is None and (json or not sys.stdout.isatty()):
        fault = "--json needs a file to describe" if json else "output is not a terminal"
        raise UsageError(f"{fault}.", hint="Save to a file with --out samples.png")
    if target == "-" and (moves or json or sys.stdout.isatty()):
        raise UsageError(
            "stdout takes one still picture, and is not a terminal.",
            hint="Pipe it, as in --out - | COMMAND, or name a file such as --out samples.png",
        )
    if shard_size is not None and (target is None or moves):
        raise UsageError("shards need a folder, and cannot be animated.", hint="Name a folder with --out samples/")

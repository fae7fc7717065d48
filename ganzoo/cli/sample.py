"""`ganzoo sample`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.options import Device, Json, Reference, Seed
from ganzoo.cli.output import out
from ganzoo.cli.progress import counting_bar, download_bars
from ganzoo.errors import UsageError
from ganzoo.system.workers import num_cores

if TYPE_CHECKING:
    from ganzoo.model import GAN
    from ganzoo.rendering import Target, Written

FRAME_SECONDS = 0.08

MANY_PICTURES = 4096
"""From this number on, pictures are encoded by worker processes, which take half a second to start."""


def sample(
    reference: Reference,
    num: Annotated[int, typer.Option("--num", "-n", min=1, help="Number of samples.")] = 64,
    seed: Seed = None,
    label: Annotated[str | None, typer.Option(help="Name of the class, for class-conditional models.")] = None,
    target: Annotated[
        str | None,
        typer.Option("--out", "-o", help="A .png, .npy or .safetensors file, or FOLDER/ for single PNGs."),
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
    json: Json = False,
) -> None:
    """Generate samples; without --out, show them in the terminal."""
    _check_request(target, shard_size, interpolate, json)

    from ganzoo.randomness import random_seed
    from ganzoo.rendering import TerminalPicture, for_terminal, picture
    from ganzoo.sources import load

    # First, so that a wrong file name is reported before anything is downloaded.
    write = None if target is None else _writer(target, interpolate, shard_size)
    with download_bars() as access:
        gan = load(reference, device=device, access=access)
    spec = gan.config.sample
    class_label = _label(label, spec.classes)
    chosen_seed = random_seed() if seed is None else seed
    if seed is None:
        out.talk(f"seed {chosen_seed}")
    if write is None:
        samples = gan.sample(num, seed=chosen_seed, labels=class_label).cpu()
        out.console().print(TerminalPicture(for_terminal(picture(samples, spec), spec)), end="")
        return
    written = write(gan, num, chosen_seed, class_label)
    if json:
        out.json(
            {
                "path": str(written.path),
                "num": num,
                "seed": chosen_seed,
                "num_files": written.num_files,
                "size": written.size,
                "sha256": _digest(written.path),
            }
        )
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


Write = Callable[["GAN", int, int, int | None], "Written"]
"""(model, number of samples, seed, label or None for all classes)."""


def _writer(name: str, keys: int | None, shard_size: int | None) -> Write:
    """Return the function that writes samples to a target of this name. Raises UsageError."""
    from ganzoo.rendering import animation_encoder, parse_target

    if keys is None:
        return partial(_write, parse_target(name, shard_size))
    path = Path(name).expanduser()
    animation_encoder(path)  # refuses an unknown file type
    return partial(_write_loop, path, keys)


def _write(target: Target, gan: GAN, num: int, seed: int, label: int | None) -> Written:
    """Write samples while they are generated; many pictures are encoded by worker processes."""
    from ganzoo.rendering import write_samples

    with counting_bar("sampling") if num > gan.batch_size else nullcontext() as progress:
        return write_samples(
            gan.stream(num, seed=seed, labels=label),
            num,
            gan.config.sample,
            target,
            labels=gan.label_batches(num, label),
            workers=max(1, num_cores() - 1) if num >= MANY_PICTURES else 1,  # one core is for the generator
            progress=progress,
        )


def _write_loop(path: Path, keys: int, gan: GAN, num: int, seed: int, label: int | None) -> Written:
    """Write an animation that takes two seconds from one seed to the next, or less if there are many."""
    from ganzoo.rendering import MAX_FRAMES, Written, picture, shrink_to_fit, write_animation

    frames = min(MAX_FRAMES, keys * round(2 / FRAME_SECONDS))
    steps = gan.interpolate(num, keys=keys, frames=frames, seed=seed, labels=label)
    pictures = [shrink_to_fit(picture(samples, gan.config.sample)) for samples in steps]
    write_animation(pictures, path, FRAME_SECONDS)
    return Written(path, 1, path.stat().st_size)


def _label(label: str | None, classes: tuple[str, ...] | None) -> int | None:
    if label is None:
        return None
    if classes is None:
        raise UsageError("this model is not class-conditional.", hint="Leave --label out.")
    if label not in classes:
        raise UsageError(f"unknown class {label!r}.", hint=f"The classes are {', '.join(classes[:20])}.")
    return classes.index(label)


def _digest(path: Path) -> str | None:
    """Return the sha256 of a file; None for a folder."""
    if path.is_dir():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

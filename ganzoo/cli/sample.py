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

from ganzoo.cli.bar import counting_bar
from ganzoo.cli.fetching import fetching
from ganzoo.cli.options import Device, Json, Reference, Seed
from ganzoo.cli.output import out
from ganzoo.errors import UsageError
from ganzoo.system.workers import num_cores

if TYPE_CHECKING:
    from ganzoo.model import GAN
    from ganzoo.rendering import Target, Written

FRAME_SECONDS = 0.08

MANY_PICTURES = 4096
"""So many are drawn by other processes, which take half a second to start, where there are cores for them."""


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
    from ganzoo.sources import load

    write = None if target is None else _writer(target, interpolate, shard_size)  # before anything is fetched
    with fetching() as access:
        gan = load(reference, device=device, access=access)
    spec = gan.config.sample
    chosen_seed = random_seed() if seed is None else seed
    if seed is None:
        out.talk(f"seed {chosen_seed}")
    class_label = _label(label, spec.classes)
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
                "files": written.num_files,
                "bytes": written.num_bytes,
                "sha256": _digest(written.path),
            }
        )
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


Write = Callable[["GAN", int, int, int | None], "Written"]
"""(model, number of samples, seed, label or None for all classes)."""


def _writer(name: str, keys: int | None, shard_size: int | None) -> Write:
    """Return what writes samples to a place of this name, which is fit for it. Raises UsageError."""
    from ganzoo.rendering import check_form, parse_target

    if keys is None:
        return partial(_write, parse_target(name, shard_size))
    path = Path(name).expanduser()
    check_form(path)
    return partial(_write_loop, path, keys)


def _write(target: Target, gan: GAN, num: int, seed: int, label: int | None) -> Written:
    """Write samples while they are generated; many pictures are drawn by other processes."""
    from ganzoo.rendering import write_samples

    with counting_bar("sampling") if num > gan.batch_size else nullcontext() as progress:
        return write_samples(
            gan.stream(num, seed=seed, labels=label),
            num,
            gan.config.sample,
            target,
            labels=gan.label_batches(num, label),
            workers=max(1, num_cores() - 1) if num >= MANY_PICTURES else 1,  # one core generates
            progress=progress,
        )


def _write_loop(path: Path, keys: int, gan: GAN, num: int, seed: int, label: int | None) -> Written:
    """Write an animation that takes two seconds from one seed to the next, or less where there are many."""
    from ganzoo.rendering import MOST_FRAMES, Written, fitted, picture, write_animation

    frames = min(MOST_FRAMES, keys * round(2 / FRAME_SECONDS))
    moments = gan.interpolate(num, keys=keys, frames=frames, seed=seed, labels=label)
    write_animation([fitted(picture(samples, gan.config.sample)) for samples in moments], path, FRAME_SECONDS)
    return Written(path, 1, path.stat().st_size)


def _label(label: str | None, classes: tuple[str, ...] | None) -> int | None:
    if label is None:
        return None
    if classes is None or label not in classes:
        has = f"its classes are {', '.join(classes[:20])}" if classes else "this model is not class-conditional"
        raise UsageError(f"there is no class {label!r}.", hint=f"Leave --label out; {has}.")
    return classes.index(label)


def _digest(path: Path) -> str | None:
    """Return the sha256 of a file; None for a folder."""
    if path.is_dir():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

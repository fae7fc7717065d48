"""`ganzoo sample`."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganzoo.cli.fetching import fetching
from ganzoo.cli.options import Device, Json, Reference, Seed
from ganzoo.cli.output import out
from ganzoo.errors import UsageError

if TYPE_CHECKING:
    from ganzoo.model import GAN

FRAME_SECONDS = 0.08


def sample(
    reference: Reference,
    num: Annotated[int, typer.Option("--num", "-n", min=1, help="How many samples.")] = 64,
    seed: Seed = None,
    label: Annotated[str | None, typer.Option(help="Class-conditional models: name of the class.")] = None,
    target: Annotated[
        str | None,
        typer.Option("--out", "-o", help="FILE.png, FILE.npy, FILE.safetensors, or FOLDER/ for single pictures."),
    ] = None,
    interpolate: Annotated[
        int | None,
        typer.Option(min=2, max=60, metavar="N", help="Go through N seeds in a loop, into FILE.gif or FILE.webp."),
    ] = None,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Generate samples: into a file, a folder, or (without --out) as a picture in the terminal."""
    if interpolate is not None and target is None:
        raise UsageError("an interpolation needs a file.", hint="Name one: --out loop.gif")
    if target is None and (json or not sys.stdout.isatty()):
        raise UsageError("there is no terminal to draw in.", hint="Name a file: --out samples.png")

    from ganzoo.randomness import random_seed
    from ganzoo.rendering import TerminalPicture, check_form, for_terminal, picture, write_samples
    from ganzoo.zoo import load

    if interpolate is not None:
        check_form(Path(str(target)))  # before anything is fetched
    with fetching() as access:
        gan = load(reference, device=device, access=access)
    spec = gan.config.sample
    chosen_seed = random_seed() if seed is None else seed
    if seed is None:
        out.talk(f"seed {chosen_seed}")
    class_label = _label(label, spec.classes)
    if interpolate is not None:
        path = Path(str(target)).expanduser()
        _write_loop(gan, path, num, interpolate, chosen_seed, class_label)
    else:
        samples = gan.sample(num, seed=chosen_seed, labels=class_label).cpu()
        if target is None:
            out.console().print(TerminalPicture(for_terminal(picture(samples, spec), spec)), end="")
            return
        path = write_samples(samples, spec, target)
    if json:
        out.json({"path": str(path), "num": num, "seed": chosen_seed, "sha256": _digest(path)})
    else:
        out.line(path)


def _write_loop(gan: GAN, path: Path, num: int, keys: int, seed: int, label: int | None) -> None:
    """Write an animation that takes two seconds from one seed to the next, or less where there are many."""
    from ganzoo.rendering import MOST_FRAMES, fitted, picture, write_animation

    frames = min(MOST_FRAMES, keys * round(2 / FRAME_SECONDS))
    moments = gan.interpolate(num, keys=keys, frames=frames, seed=seed, labels=label)
    write_animation([fitted(picture(samples, gan.config.sample)) for samples in moments], path, FRAME_SECONDS)


def _label(label: str | None, classes: tuple[str, ...] | None) -> int | None:
    if label is None:
        return None
    if classes is None or label not in classes:
        has = f"its classes are {', '.join(classes[:20])}" if classes else "this model is not class-conditional"
        raise UsageError(f"there is no class {label!r}.", hint=f"Leave --label out; {has}.")
    return classes.index(label)


def _digest(path: Path) -> str | None:
    """Return the sha256 of a file; None for a folder."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None

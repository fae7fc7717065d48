"""`ganzoo sample`."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Annotated

import typer

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
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Generate samples: into a file, a folder, or (without --out) as a picture in the terminal."""
    if target is None and (json or not sys.stdout.isatty()):
        raise UsageError("there is no terminal to draw in.", hint="Name a file: --out samples.png")

    from ganzoo.randomness import random_seed
    from ganzoo.rendering import TerminalPicture, picture, write_samples
    from ganzoo.zoo import load

    with fetching() as access:
        gan = load(reference, device=device, access=access)
    chosen_seed = random_seed() if seed is None else seed
    if seed is None:
        out.talk(f"seed {chosen_seed}")
    samples = gan.sample(num, seed=chosen_seed, labels=_label(label, gan.config.sample.classes)).cpu()
    if target is None:
        out.console().print(TerminalPicture(picture(samples, gan.config.sample)), end="")
        return
    path = write_samples(samples, gan.config.sample, target)
    if json:
        out.json({"path": str(path), "num": num, "seed": chosen_seed, "sha256": _digest(path)})
    else:
        out.line(path)


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

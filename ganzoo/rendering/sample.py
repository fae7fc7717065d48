"""Samples of a model -> a file or a folder: what `ganzoo sample --out` does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import UsageError
from ganzoo.rendering.animation import animation_encoder
from ganzoo.rendering.output import ShowProgress, Target, parse_target, write_samples
from ganzoo.rendering.picture import STILLS
from ganzoo.rendering.request import Request, request
from ganzoo.rendering.walk import write_loop, write_steps
from ganzoo.sources import load
from ganzoo.system.files import expanded
from ganzoo.system.workers import num_cores

if TYPE_CHECKING:
    import torch

    from ganzoo.hub.client import Access
    from ganzoo.model import GAN

NUM = 64
"""Samples in a file if no number is asked for."""

MANY_PICTURES = 4096
"""From this number on, worker processes draw them. They take half a second to start."""


@dataclass(frozen=True)
class Sampled:
    """What `sample` wrote."""

    path: Path
    """The file or folder."""
    num: int
    """Number of samples."""
    seed: int | None
    """The seed that was used; None where each sample has one of its own."""
    num_files: int
    size: int
    """Bytes of all files together."""
    sha256: str | None
    """Digest of the file; None for a folder and for stdout."""


def sample(
    reference: str | os.PathLike[str] | GAN,
    num: int | None = None,
    *,
    out: str | os.PathLike[str],
    seed: int | None = None,
    seeds: Sequence[int] | None = None,
    grid: tuple[int, int] | None = None,
    step: int | None = None,
    label: str | int | None = None,
    text: str | Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    shard_size: int | None = None,
    interpolate: int | None = None,
    walk: str | int | None = None,
    latents: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    truncation: float | None = None,
    device: str | torch.device = "cpu",
    access: Access | None = None,
    progress: ShowProgress | None = None,
) -> Sampled:
    """Generate samples and write them while they are generated, in bounded memory; whole, or not at all.

        ganzoo.sample("mnist-mlp", 64, out="digits.png", seed=0)

    Args:
        reference: what `ganzoo.load` takes, or a loaded model, which stays on its device.
        num: how many, at least 1; None for 64, for 8 in a walk, and for all latents that are given.
        out: `x.png`, `x.jpg` or `x.webp` (one picture of all; `-` writes it to stdout, as a PNG), `x.npy` or
            `x.safetensors` (float32 [num, *shape]), or a folder, as a name that ends in a slash or has no suffix (a PNG
            for each sample, for tensors a .npy). PNGs say model, seed and labels; `ganzoo show x.png` reads them.
        seed: fixes the samples; None takes a random one.
        seeds: a seed for each sample instead of num and seed; each is the only sample of that seed.
        grid: rows and columns of one picture, instead of num; of class-conditional models, each row has its class.
        step: of a run only: the kept checkpoint of this step instead of the newest weights.
        label: class-conditional models only: one class, by name or number; None goes through the classes in turn.
        text: text-conditional models only: a text, or several that the samples take in turn; None takes the model's
            examples.
        options: sampling options of the architecture, such as {"psi": 0.7}.
        shard_size: write tar shards of this many samples into the folder, as webdataset reads them.
        interpolate: write a loop through this many seeds, at least 2, into `x.gif`, `x.webp` or `x.mp4`.
        walk: write samples that change step by step, as an animation into such a file, or side by side into `x.png`:
            "latents" from each of the given latents to the next, "classes" from class to class, a number along this
            component of the latents. See `ganzoo.walks`.
        latents: a file of latents, or several, instead of those of the seed: what `ganzoo project` wrote, or a `.npy`.
        truncation: largest absolute value of a component of the latents, as in `GAN.latents`.
        device: where to load a model: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`, or a `torch.device`.
        access: as for `ganzoo.load`.
        progress: called with the number of samples written so far, and of all samples.

    Raises:
        UsageError: a name of no known format, a folder that is not empty, options that exclude each other, a label, a
            text or an option that the model does not have, a picture or animation of tensors, which are not drawn, or
            of more samples than one picture can show.
        GanzooError: what loading raises, or a file that cannot be written.
    """
    write = sample_writer(
        os.fspath(out), shard_size=shard_size, interpolate=interpolate, walk=walk, grid=grid, seeds=seeds
    )
    gan = reference
    if isinstance(gan, str | os.PathLike):
        gan = load(gan, device=device, access=access, step=step)
    elif step is not None:
        raise UsageError("a loaded model has no steps.", hint="Pass the folder of a run.")
    files = [latents] if isinstance(latents, str | os.PathLike) else latents or ()
    requested = request(
        gan,
        num,
        seed=seed,
        seeds=seeds,
        grid=grid,
        label=label,
        texts=text,
        options=options,
        truncation=truncation,
        latents=[Path(file) for file in files],
        facts=facts_of(reference, step),
    )
    return write(gan, requested, progress)


def facts_of(reference: str | os.PathLike[str] | GAN, step: int | None) -> dict[str, str]:
    """Return what pictures say about the weights beside what the model knows: a repository on the Hub, a step."""
    facts = {"model": reference} if isinstance(reference, str) and reference.startswith("hf:") else {}
    return facts if step is None else {**facts, "step": str(step)}


SampleWriter = Callable[["GAN", Request, ShowProgress | None], Sampled]
"""(model, request, progress)."""


def sample_writer(
    out: str,
    *,
    shard_size: int | None = None,
    interpolate: int | None = None,
    walk: str | int | None = None,
    grid: tuple[int, int] | None = None,
    seeds: Sequence[int] | None = None,
) -> SampleWriter:
    """Return the function that writes samples to a place. Raises UsageError before anything is loaded."""
    if interpolate is None and walk is None:
        target = parse_target(out, shard_size)
        if grid is not None and target.format not in ("picture", "stdout"):
            raise UsageError("a grid is one picture.", hint="Save it as a .png file, or leave the grid out.")
        return partial(_write, target)
    if interpolate is not None and walk is not None:
        raise UsageError("samples are either interpolated or taken for a walk.", hint="Leave out one of the two.")
    if shard_size is not None:
        raise UsageError("shards need a folder, and an animation is one file.", hint="Leave out one of the two.")
    if seeds is not None:
        raise UsageError("a walk or an interpolation begins at one seed.", hint="Pass --seed instead of --seeds.")
    if grid is not None and walk is not None:
        raise UsageError("a walk has a row for each sample.", hint="Leave the grid out, or pass the number of samples.")
    path = expanded(out)
    if walk is not None and path.suffix.lower() in STILLS and path.suffix.lower() != ".webp":
        return partial(_write_steps, path, walk)
    animation_encoder(path)  # refuses an unknown file type
    return partial(_write_loop, path, interpolate, walk)


def _write(target: Target, gan: GAN, request: Request, progress: ShowProgress | None) -> Sampled:
    num = request.count(NUM)
    batches, labels = request.batches(gan, num)
    written = write_samples(
        batches,
        num,
        gan.config.sample,
        target,
        labels=labels,
        columns=request.columns,
        facts={**request.facts, "num": str(num)},
        workers=max(1, num_cores() - 1) if num >= MANY_PICTURES else 1,  # one core generates
        progress=progress,
    )
    return _sampled(request, written.path, num, written.num_files, written.size)


def _write_loop(
    path: Path, keys: int | None, walk: str | int | None, gan: GAN, request: Request, progress: ShowProgress | None
) -> Sampled:
    return _sampled(request, path, write_loop(path, keys, walk, gan, request))


def _write_steps(path: Path, walk: str | int, gan: GAN, request: Request, progress: ShowProgress | None) -> Sampled:
    return _sampled(request, path, write_steps(path, walk, gan, request))


def _sampled(request: Request, path: Path, num: int, num_files: int = 1, size: int | None = None) -> Sampled:
    sha256, seed = None, request.seed if request.seeds is None else None
    if path.is_file():
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Sampled(path, num, seed, num_files, path.stat().st_size if size is None else size, sha256)

"""Samples of a model -> a file or a folder: what `ganzoo sample --out` does."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from ganzoo.conditions import Labels, label_batches, text_batches
from ganzoo.errors import GanzooError, UsageError, hint_for
from ganzoo.randomness import random_seed
from ganzoo.rendering.animation import MAX_FRAMES, animation_encoder, shrink_to_fit, write_animation
from ganzoo.rendering.output import ShowProgress, Target, parse_target, write_samples
from ganzoo.rendering.picture import check_drawable, picture, png_bytes
from ganzoo.sources import load
from ganzoo.system.files import expanded, write_atomically
from ganzoo.system.workers import num_cores
from ganzoo.weights.latents import SavedLatents, read_latents

if TYPE_CHECKING:
    import torch

    from ganzoo.hub.client import Access
    from ganzoo.model import GAN

NUM, NUM_WALKING = 64, 8
"""Samples in a file, and in a walk, if no number is asked for."""

FRAME_SECONDS = 0.08
FRAMES_BETWEEN = 25
"""Two seconds from key to key, or less where the frames are too many."""
STEPS = 9
"""Steps of a walk that are drawn side by side."""

MANY_PICTURES = 4096
"""From this number on, worker processes draw them. They take half a second to start."""


@dataclass(frozen=True)
class Sampled:
    """What `sample` wrote."""

    path: Path
    """The file or folder."""
    num: int
    """Number of samples."""
    seed: int
    """The seed that was used."""
    num_files: int
    size: int
    """Bytes of all files together."""
    sha256: str | None
    """Digest of the file; None for a folder."""


def sample(
    reference: str | os.PathLike[str] | GAN,
    num: int | None = None,
    *,
    out: str | os.PathLike[str],
    seed: int | None = None,
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
        out: `x.png` (one picture of all), `x.npy` or `x.safetensors` (float32 [num, *shape]), or a folder, as a name
            that ends in a slash or has no suffix (a PNG for each sample, for tensors a .npy).
        seed: fixes the samples; None takes a random one.
        label: class-conditional models only: one class, by name or number; None goes through the classes in turn.
        text: text-conditional models only: a text, or several that the samples take in turn; None takes the model's
            examples.
        options: sampling options of the architecture, such as {"psi": 0.7}.
        shard_size: write tar shards of this many samples into the folder, as webdataset reads them.
        interpolate: write a loop through this many seeds, at least 2, into `x.gif` or `x.webp`.
        walk: write samples that change step by step, as an animation into `x.gif` or `x.webp`, or side by side into
            `x.png`: "latents" from each of the given latents to the next, "classes" from class to class, a number along
            this component of the latents. See `ganzoo.walks`.
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
    write = sample_writer(os.fspath(out), shard_size=shard_size, interpolate=interpolate, walk=walk)
    gan = load(reference, device=device, access=access) if isinstance(reference, str | os.PathLike) else reference
    choices = Choices(labels=class_index(gan, label), texts=text, options=options, truncation=truncation)
    files = [latents] if isinstance(latents, str | os.PathLike) else latents or ()
    return write(gan, request(gan, num, seed, choices, [Path(file) for file in files]), progress)


class Choices(TypedDict):
    """What is chosen for all samples: arguments of `GAN.sample` by name."""

    labels: int | None
    texts: str | Sequence[str] | None
    options: Mapping[str, Any] | None
    truncation: float | None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to generate."""

    num: int | None
    """How many; None for as many as is usual for the file."""
    seed: int
    choices: Choices
    given: SavedLatents | None
    """Latents to use instead of those of the seed."""


def request(gan: GAN, num: int | None, seed: int | None, choices: Choices, files: Sequence[Path]) -> Request:
    """Return a request, with the latents of files read, and a random seed for None.

    Raises UsageError for choices that given latents exclude, and what `read_latents` raises.
    """
    if files and (num is not None or choices["truncation"] is not None):
        raise UsageError(
            "given latents have their number and their size.", hint="Leave out the number of samples and truncation."
        )
    given = None
    if files:
        import torch

        read = [read_latents(expanded(file), gan.config) for file in files]
        labels = [saved.labels for saved in read if saved.labels is not None]
        chosen = choices["labels"]
        latents = torch.cat([saved.latents for saved in read])
        if chosen is not None:
            given = SavedLatents(latents, torch.full((len(latents),), chosen))
        else:
            given = SavedLatents(latents, torch.cat(labels) if len(labels) == len(read) else None)
    return Request(num=num, seed=random_seed() if seed is None else seed, choices=choices, given=given)


def given_samples(gan: GAN, latents: SavedLatents, request: Request) -> torch.Tensor:
    """Return the samples of given latents [num, *sample.shape]."""
    labels: Any = latents.labels  # a tensor, which is taken as a sequence of integers
    choices = request.choices
    return gan.generate(latents.latents, labels, texts=choices["texts"], seed=request.seed, options=choices["options"])


SampleWriter = Callable[["GAN", Request, ShowProgress | None], Sampled]
"""(model, request, progress)."""


def sample_writer(
    out: str, *, shard_size: int | None = None, interpolate: int | None = None, walk: str | int | None = None
) -> SampleWriter:
    """Return the function that writes samples to a place. Raises UsageError before anything is loaded."""
    if out == "-":
        raise UsageError(
            "samples cannot be written to stdout.",
            hint="Name a file, such as --out samples.png; a folder of this name is ./-",
        )
    if interpolate is None and walk is None:
        target = parse_target(out, shard_size)
        return partial(_write, target)
    if interpolate is not None and walk is not None:
        raise UsageError("samples are either interpolated or taken for a walk.", hint="Leave out one of the two.")
    if shard_size is not None:
        raise UsageError("shards need a folder, and an animation is one file.", hint="Leave out one of the two.")
    path = expanded(out)
    if walk is not None and path.suffix.lower() == ".png":
        return partial(_write_sheet, path, walk)
    animation_encoder(path)  # refuses an unknown file type
    return partial(_write_loop, path, interpolate, walk)


def _write(target: Target, gan: GAN, request: Request, progress: ShowProgress | None) -> Sampled:
    spec, size, choices, given = gan.config.sample, gan.batch_size, request.choices, request.given
    labels: Any = choices["labels"]
    if given is None:
        num = request.num or NUM
        batches = gan.stream(num, seed=request.seed, **choices)
    else:
        num, labels = len(given.latents), given.labels
        batches = iter(given_samples(gan, given, request).split(size))
    written = write_samples(
        batches,
        num,
        spec,
        target,
        labels=text_batches(spec, num, choices["texts"], size) or label_batches(spec, num, labels, size),
        workers=max(1, num_cores() - 1) if num >= MANY_PICTURES else 1,  # one core generates
        progress=progress,
    )
    return _sampled(written.path, num, request.seed, written.num_files, written.size)


def _write_loop(
    path: Path, keys: int | None, walk: str | int | None, gan: GAN, request: Request, progress: ShowProgress | None
) -> Sampled:
    """Write an animation: through the seeds of `keys`, or a walk."""
    spec, num = gan.config.sample, request.num or (NUM if walk is None else NUM_WALKING)
    check_drawable(num, spec)
    if walk is not None:
        moments = _walk(gan, walk, num, request, still=False)
    elif request.given is None:
        frames = min(MAX_FRAMES, (keys or 0) * FRAMES_BETWEEN)
        moments = gan.interpolate(num, keys=keys or 0, frames=frames, seed=request.seed, **request.choices)
    else:
        raise UsageError("an interpolation goes through seeds.", hint="Go through given latents with --walk latents")
    write_animation([shrink_to_fit(picture(samples, spec)) for samples in moments], path, FRAME_SECONDS)
    return _sampled(path, num, request.seed, 1, path.stat().st_size)


def _write_sheet(path: Path, walk: str | int, gan: GAN, request: Request, progress: ShowProgress | None) -> Sampled:
    """Write the steps of a walk side by side, a row for each sample."""
    import torch

    spec, num = gan.config.sample, request.num or NUM_WALKING
    check_drawable(num * STEPS, spec)
    moments = list(_walk(gan, walk, num, request, still=True))
    columns = STEPS if walk == "latents" else len(moments)
    sheet = picture(torch.stack(moments, dim=1).flatten(0, 1), spec, columns)
    try:
        write_atomically(path, png_bytes(sheet))
    except OSError as error:
        raise GanzooError(f"cannot write {path}: {error.strerror}.", hint=hint_for(error)) from error
    return _sampled(path, len(moments[0]), request.seed, 1, path.stat().st_size)


def _walk(gan: GAN, walk: str | int, num: int, request: Request, *, still: bool) -> Iterator[torch.Tensor]:
    """Return the steps of a walk: a few to look at side by side, or many for an animation. Raises UsageError."""
    from ganzoo.walks import class_walk, component_range, component_walk, morph

    choices, seed, given = request.choices, request.seed, request.given
    texts, options, truncation = choices["texts"], choices["options"], choices["truncation"]
    if walk == "latents":
        if given is None:
            raise UsageError("a walk through latents needs them.", hint="Name a file: --latents projected.safetensors")
        keys, labels = len(given.latents), cast("Labels | None", given.labels)
        frames = keys * STEPS if still else min(MAX_FRAMES, keys * FRAMES_BETWEEN)
        return morph(gan, given.latents, frames=frames, labels=labels, texts=texts, seed=seed, options=options)
    if given is not None:
        raise UsageError("given latents are for --walk latents.", hint="Leave out the file of latents.")
    if walk == "classes":
        frames = len(gan.classes) if still else min(MAX_FRAMES, len(gan.classes) * FRAMES_BETWEEN)
        return class_walk(gan, num, frames=frames, seed=seed, truncation=truncation, options=options)
    if isinstance(walk, str) and not walk.isdecimal():
        raise UsageError(f"unknown walk {walk!r}.", hint="Choose latents, classes, or the number of a component.")
    # Side by side from end to end; in an animation there and back, slower at the ends.
    bound = component_range(gan)
    shares = (
        [2 * step / (STEPS - 1) - 1 for step in range(STEPS)]
        if still
        else [math.sin(math.tau * frame / (4 * FRAMES_BETWEEN)) for frame in range(4 * FRAMES_BETWEEN)]
    )
    return component_walk(
        gan,
        int(walk),
        [bound * share for share in shares],
        num,
        seed=seed,
        labels=choices["labels"],
        texts=texts,
        truncation=truncation,
        options=options,
    )


def _sampled(path: Path, num: int, seed: int, num_files: int, size: int) -> Sampled:
    sha256 = None
    if not path.is_dir():
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Sampled(path, num, seed, num_files, size, sha256)


def class_index(gan: GAN, label: str | int | None) -> int | None:
    """Return the number of a class that is given by name or number. Raises UsageError."""
    if label is None:
        return None
    classes = gan.config.sample.classes
    if classes is None:
        raise UsageError("this model is not class-conditional.", hint="Leave the label out.")
    if isinstance(label, str):
        if label not in classes:
            raise UsageError(f"unknown class {label!r}.", hint=f"The classes are {', '.join(classes[:20])}.")
        return classes.index(label)
    return label

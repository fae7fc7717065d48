"""Samples of a model -> a file or a folder: what `ganzoo sample --out` does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ganzoo.conditions import label_batches, text_batches
from ganzoo.errors import UsageError
from ganzoo.randomness import random_seed
from ganzoo.rendering.animation import MAX_FRAMES, animation_encoder, shrink_to_fit, write_animation
from ganzoo.rendering.output import ShowProgress, parse_target, write_samples
from ganzoo.rendering.picture import check_drawable, picture
from ganzoo.sources import load
from ganzoo.system.files import expanded
from ganzoo.system.workers import num_cores

if TYPE_CHECKING:
    import torch

    from ganzoo.hub.client import Access
    from ganzoo.model import GAN

FRAME_SECONDS = 0.08

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
    num: int = 64,
    *,
    out: str | os.PathLike[str],
    seed: int | None = None,
    label: str | int | None = None,
    text: str | Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    shard_size: int | None = None,
    interpolate: int | None = None,
    device: str | torch.device = "cpu",
    access: Access | None = None,
    progress: ShowProgress | None = None,
) -> Sampled:
    """Generate samples and write them while they are generated, in bounded memory; whole, or not at all.

        ganzoo.sample("mnist-mlp", 64, out="digits.png", seed=0)

    Args:
        reference: what `ganzoo.load` takes, or a loaded model, which stays on its device.
        num: how many, at least 1.
        out: `x.png` (one picture of all), `x.npy` or `x.safetensors` (float32 [num, *shape]), or a folder, as a name
            that ends in a slash or has no suffix (a PNG for each sample, for tensors a .npy).
        seed: fixes the samples; None takes a random one.
        label: class-conditional models only: one class, by name or number; None goes through the classes in turn.
        text: text-conditional models only: a text, or several that the samples take in turn; None takes the model's
            examples.
        options: sampling options of the architecture, such as {"psi": 0.7}.
        shard_size: write tar shards of this many samples into the folder, as webdataset reads them.
        interpolate: write a loop through this many seeds, at least 2, into `x.gif` or `x.webp`.
        device: where to load a model: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`, or a `torch.device`.
        access: as for `ganzoo.load`.
        progress: called with the number of samples written so far, and of all samples.

    Raises:
        UsageError: a name of no known format, a folder that is not empty, options that exclude each other, a label, a
            text or an option that the model does not have, a picture or animation of tensors, which are not drawn, or
            of more samples than one picture can show.
        GanzooError: what loading raises, or a file that cannot be written.
    """
    write = sample_writer(os.fspath(out), shard_size=shard_size, interpolate=interpolate)
    gan = load(reference, device=device, access=access) if isinstance(reference, str | os.PathLike) else reference
    choices: Choices = {"labels": class_index(gan, label), "texts": text, "options": options}
    return write(gan, num, random_seed() if seed is None else seed, choices, progress)


class Choices(TypedDict):
    """What is chosen for all samples: arguments of `GAN.sample` by name."""

    labels: int | None
    texts: str | Sequence[str] | None
    options: Mapping[str, Any] | None


SampleWriter = Callable[["GAN", int, int, Choices, ShowProgress | None], Sampled]
"""(model, number of samples, seed, choices, progress)."""


def sample_writer(out: str, *, shard_size: int | None = None, interpolate: int | None = None) -> SampleWriter:
    """Return the function that writes samples to a place. Raises UsageError before anything is loaded."""
    if out == "-":
        raise UsageError(
            "samples cannot be written to stdout.",
            hint="Name a file, such as --out samples.png; a folder of this name is ./-",
        )
    if interpolate is None:
        target = parse_target(out, shard_size)

        def write(gan: GAN, num: int, seed: int, choices: Choices, progress: ShowProgress | None) -> Sampled:
            spec, size = gan.config.sample, gan.batch_size
            written = write_samples(
                gan.stream(num, seed=seed, **choices),
                num,
                spec,
                target,
                labels=text_batches(spec, num, choices["texts"], size)
                or label_batches(spec, num, choices["labels"], size),
                workers=max(1, num_cores() - 1) if num >= MANY_PICTURES else 1,  # one core generates
                progress=progress,
            )
            return _sampled(written.path, num, seed, written.num_files, written.size)

        return write

    if shard_size is not None:
        raise UsageError("shards need a folder, and an animation is one file.", hint="Leave out one of the two.")
    path, keys = expanded(out), interpolate
    animation_encoder(path)  # refuses an unknown file type

    def write_loop(gan: GAN, num: int, seed: int, choices: Choices, progress: ShowProgress | None) -> Sampled:
        check_drawable(num, gan.config.sample)
        frames = min(MAX_FRAMES, keys * round(2 / FRAME_SECONDS))  # two seconds from seed to seed, or less
        moments = gan.interpolate(num, keys=keys, frames=frames, seed=seed, **choices)
        write_animation(
            [shrink_to_fit(picture(samples, gan.config.sample)) for samples in moments], path, FRAME_SECONDS
        )
        return _sampled(path, num, seed, 1, path.stat().st_size)

    return write_loop


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

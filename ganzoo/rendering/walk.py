"""Samples that change step by step -> an animation, or a picture with the steps side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.errors import GanzooError, UsageError, hint_for
from ganzoo.rendering.animation import MAX_FRAMES, shrink_to_fit, write_animation
from ganzoo.rendering.picture import check_drawable, picture, still_bytes
from ganzoo.system.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

    from ganzoo.model import GAN
    from ganzoo.rendering.request import Request

NUM, NUM_WALKING = 64, 8
"""Samples in an interpolation, and in a walk, if no number is asked for."""

FRAME_SECONDS = 0.08
FRAMES_BETWEEN = 25
"""Two seconds from key to key, or less where the frames are too many."""
STEPS = 9
"""Steps of a walk that are drawn side by side."""


def write_loop(path: Path, keys: int | None, walk: str | int | None, gan: GAN, request: Request) -> int:
    """Write an animation through the seeds of `keys`, or of a walk; return the number of samples in it.

    Raises UsageError, and GanzooError for a file that cannot be written.
    """
    spec, num = gan.config.sample, request.num or (NUM if walk is None else NUM_WALKING)
    check_drawable(num, spec)
    if walk is not None:
        moments = _steps(gan, walk, num, request, still=False)
    elif request.given is None:
        frames = min(MAX_FRAMES, (keys or 0) * FRAMES_BETWEEN)
        moments = gan.interpolate(num, keys=keys or 0, frames=frames, seed=request.seed, **request.choices)
    else:
        raise UsageError("an interpolation goes through seeds.", hint="Go through given latents with --walk latents")
    frames_drawn = [shrink_to_fit(picture(samples, spec, request.columns)) for samples in moments]
    write_animation(frames_drawn, path, FRAME_SECONDS)
    return num


def write_steps(path: Path, walk: str | int, gan: GAN, request: Request) -> int:
    """Write the steps of a walk side by side, a row for each sample; return the number of samples.

    Raises UsageError, and GanzooError for a file that cannot be written.
    """
    import torch

    spec, num = gan.config.sample, request.num or NUM_WALKING
    columns = len(gan.classes) if walk == "classes" and gan.classes else STEPS
    rows = len(request.given.latents) if request.given is not None else num
    check_drawable(rows * columns, spec)
    moments = list(_steps(gan, walk, num, request, still=True))
    sheet = picture(torch.stack(moments, dim=1).flatten(0, 1), spec, columns)
    try:
        write_atomically(path, still_bytes(sheet, path.suffix, {**request.facts, "walk": str(walk)}))
    except OSError as error:
        raise GanzooError(f"cannot write {path}: {error.strerror}.", hint=hint_for(error)) from error
    return len(moments[0])


def _steps(gan: GAN, walk: str | int, num: int, request: Request, *, still: bool) -> Iterator[Tensor]:
    """Return the steps of a walk: a few to look at side by side, or many for an animation. Raises UsageError."""
    from ganzoo.walks import class_walk, component_range, component_walk, morph

    choices, seed, given = request.choices, request.seed, request.given
    texts, options, truncation = choices["texts"], choices["options"], choices["truncation"]
    if walk == "latents":
        if given is None:
            raise UsageError("a walk through latents needs them.", hint="Name a file: --latents projected.safetensors")
        keys = len(given.latents)
        frames = keys * STEPS if still else min(MAX_FRAMES, keys * FRAMES_BETWEEN)
        return morph(gan, given.latents, frames=frames, labels=given.labels, texts=texts, seed=seed, options=options)
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

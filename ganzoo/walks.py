"""Samples that change step by step: between given latents, from class to class, and along one component of z.

`GAN.interpolate` is the walk between latents that are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ganzoo.conditions import Labels, class_labels
from ganzoo.errors import UsageError
from ganzoo.latents import checked_latents, loop_latents

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ganzoo.model import GAN


def morph(
    gan: GAN,
    latents: Tensor | ArrayLike,
    *,
    frames: int = 96,
    labels: Labels | None = None,
    texts: str | Sequence[str] | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Iterator[Tensor]:
    """Go in a loop through given latents, such as those of two projected photographs.

    Args:
        gan: the model.
        latents: at least two, [num, *latent.shape].
        frames: steps of the loop, at least as many as latents.
        labels: class-conditional models only: the class of each latent, or one for all; classes are blended on the way.
        texts: text-conditional models only: one text.
        seed: fixes the noise of generators that have any.
        options: as in `GAN.sample`.

    Yields float32 [1, *sample.shape], once for each frame. Raises UsageError.
    """
    keys = checked_latents(gan.config.latent, latents).split(1)
    classes = class_labels(gan.config.sample, len(keys), labels)
    return _loop(gan, keys, None if classes is None else classes.tolist(), frames, texts, seed, options)


def class_walk(
    gan: GAN,
    num: int = 1,
    *,
    frames: int = 96,
    seed: int = 0,
    truncation: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> Iterator[Tensor]:
    """Go in a loop through the classes of a model while the latents stay.

    Between two classes, the outputs of the generator's embeddings (`nn.Embedding`) of the label are mixed. A generator
    that takes the label in another way changes from class to class at once.

    Args:
        gan: a class-conditional model.
        num: how many samples change.
        frames: steps of the loop, at least as many as classes.
        seed: fixes the latents.
        truncation: as in `GAN.latents`.
        options: as in `GAN.sample`.

    Yields float32 [num, *sample.shape], once for each frame. Raises UsageError.
    """
    if not gan.classes:
        raise UsageError(
            "this model is not class-conditional, so it has no walk through classes.",
            hint="Choose the walk along a component: --walk 0",
        )
    latents = gan.latents(num, seed, truncation=truncation)
    return _loop(gan, [latents] * len(gan.classes), range(len(gan.classes)), frames, None, seed, options)


def component_walk(
    gan: GAN,
    component: int,
    values: Sequence[float],
    num: int = 1,
    *,
    seed: int = 0,
    labels: Labels | None = None,
    texts: str | Sequence[str] | None = None,
    truncation: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> Iterator[Tensor]:
    """Give one component of the latents one value after the other, while the others stay (a latent traversal).

    Args:
        gan: the model.
        component: which one, from 0 to latent.dim - 1; with a grid, at all its points.
        values: what it becomes, step by step; `component_range` says what is usual.
        num: how many samples change.
        seed: fixes the other components.
        labels: as in `GAN.sample`.
        texts: as in `GAN.sample`.
        truncation: of the other components, as in `GAN.latents`.
        options: as in `GAN.sample`.

    Yields float32 [num, *sample.shape], once for each value. Raises UsageError.
    """
    if not 0 <= component < gan.config.latent.dim:
        raise UsageError(
            f"the latents have no component {component}.", hint=f"Choose one from 0 to {gan.config.latent.dim - 1}."
        )
    component_range(gan)
    latents = gan.latents(num, seed, truncation=truncation)

    def steps() -> Iterator[Tensor]:
        for value in values:
            latents[:, component] = value
            yield gan.generate(latents, labels, texts=texts, seed=seed, options=options)

    return steps()


def component_range(gan: GAN) -> float:
    """Return the largest usual absolute value of a component of the latents. Raises UsageError for categorical ones."""
    latent = gan.config.latent
    if latent.distribution == "categorical":
        raise UsageError("a category cannot be walked along.", hint="Interpolate between seeds: --interpolate 4")
    return {"uniform": 1.0, "truncated_normal": latent.truncation}.get(latent.distribution, 2.5)


def _loop(
    gan: GAN,
    keys: Sequence[Tensor],
    labels: Sequence[int] | None,
    frames: int,
    texts: str | Sequence[str] | None,
    seed: int,
    options: Mapping[str, Any] | None,
) -> Iterator[Tensor]:
    """Yield the samples on a loop through keys [num, *latent.shape], each with its class."""
    for frame, latents in enumerate(loop_latents(gan.config.latent, keys, frames)):
        if labels is None:
            yield gan.generate(latents, texts=texts, seed=seed, options=options)
            continue
        key, share = divmod(frame * len(keys) / frames, 1)
        start, end = labels[int(key)], labels[(int(key) + 1) % len(keys)]
        with _blended(gan.generator, end, share):
            samples = gan.generate(latents, start, seed=seed, options=options)
        yield samples


@contextmanager
def _blended(generator: nn.Module, other: int, share: float) -> Iterator[None]:
    """Mix what each embedding of the generator returns for a label with what it has for another one."""

    def mixed(embedding: nn.Module, _: Any, output: Tensor) -> Tensor:
        assert isinstance(embedding, nn.Embedding)
        return torch.lerp(output, embedding.weight[other].expand_as(output), share)

    with ExitStack() as hooks:
        for module in generator.modules():
            if isinstance(module, nn.Embedding):
                hooks.callback(module.register_forward_hook(mixed).remove)
        yield

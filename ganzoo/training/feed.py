"""What one step is fed with: real samples and random numbers, drawn in the order in which they are used.

It is made in two halves. `stage` is the host's work: which samples, which step size. `draw` is the device's: it gathers
the samples and draws the random numbers, and a graph can capture it.

Every rank draws the random numbers of the joint batch and keeps its part: a run does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ganzoo.data.batches import Batch, Staged
from ganzoo.randomness import draw_latents
from ganzoo.specs import Adam
from ganzoo.training.state import TrainingState


class Rates(NamedTuple):
    """How far things go in a step; each a tensor [], for it may differ from step to step."""

    generator: Tensor
    """Step size of the generator's optimizer."""
    discriminator: Tensor
    """Step size of the discriminator's optimizer."""
    average: Tensor
    """How far the moving average goes towards the generator, 0 to 1."""


class StagedFeed(NamedTuple):
    """What the host knows of a step: tensors on the device, of the same shapes for every step."""

    batches: tuple[Staged, ...]
    """In the order in which they are used."""
    rates: Tensor
    """[3], the three of `Rates`."""


class DiscriminatorFeed(NamedTuple):
    """For one update of the discriminator."""

    real: Batch
    latents: Tensor | None
    """[batch, dim], of the fakes; None when it shares those of the generator's update."""
    shares: Tensor | None
    """[batch], uniform in [0, 1), for regularizers; None without them."""


class GeneratorFeed(NamedTuple):
    """For the update of the generator."""

    real: Batch | None
    """For losses that compare with real samples; None for the others."""
    latents: Tensor
    """[batch, dim]."""
    labels: Tensor | None
    """int64 [batch], which a conditional model is asked for; None for others."""


class Feed(NamedTuple):
    """For one step."""

    generator: GeneratorFeed
    discriminator: tuple[DiscriminatorFeed, ...]
    """One for each of its updates."""
    rates: Rates


def stage(state: TrainingState) -> StagedFeed:
    """Do the host's half for the next step. Raises DatasetError when the disk fails."""
    recipe = state.settings.recipe
    num_batches = recipe.discriminator_steps + state.learner.loss.paired
    batches = tuple(state.batches.stage() for _ in range(num_batches))
    left = 1 - state.step / recipe.steps
    optimizers, decay = recipe.optimizers, recipe.ema_decay
    rates = [
        _step_size(optimizers.generator, left),
        _step_size(optimizers.discriminator, left),
        0.0 if decay is None else 1 - _warmed_up(decay, state.step),
    ]
    # The CPU reads a rate as a number and loses nothing; other devices want float32.
    dtype = torch.float64 if state.device.type == "cpu" else torch.float32
    return StagedFeed(batches, torch.tensor(rates, dtype=dtype).to(state.device))


def _step_size(spec: Adam, left: float) -> float:
    """Return the step size when this part of the steps is left, 0 to 1."""
    return spec.learning_rate * (left if spec.decay == "linear" else 1)


def _warmed_up(decay: float, step: int) -> float:
    """Let the average forget the first, useless weights quickly: at most (1 + n) / (10 + n) after n steps."""
    return min(decay, (1 + step) / (10 + step))


def draw(state: TrainingState, staged: StagedFeed) -> Feed:
    """Do the device's half."""
    recipe = state.settings.recipe
    batches = iter([state.batches.draw(batch) for batch in staged.batches])
    generator = None
    if recipe.update_order == "generator_first":
        generator = _for_generator(state, batches)
    discriminator = tuple(_for_discriminator(state, batches) for _ in range(recipe.discriminator_steps))
    if generator is None:
        generator = _for_generator(state, batches)
    return Feed(generator, discriminator, Rates(*staged.rates.unbind()))


def _for_generator(state: TrainingState, batches: Iterator[Batch]) -> GeneratorFeed:
    classes = state.config.sample.classes
    real = next(batches) if state.learner.loss.paired else None
    latents, labels = _latents(state), None
    if classes is not None:
        labels = _labels(state, len(classes)) if real is None else real.labels
    return GeneratorFeed(real, latents, labels)


def _for_discriminator(state: TrainingState, batches: Iterator[Batch]) -> DiscriminatorFeed:
    recipe = state.settings.recipe
    latents = None if recipe.share_fakes else _latents(state)
    return DiscriminatorFeed(next(batches), latents, _shares(state) if recipe.regularizers else None)


def _latents(state: TrainingState) -> Tensor:
    recipe = state.settings.recipe
    return state.ranks.part(draw_latents(recipe.latent, recipe.batch_size, state.latent_source))


def _labels(state: TrainingState, classes: int) -> Tensor:
    shape = (state.settings.recipe.batch_size,)
    return state.ranks.part(torch.randint(classes, shape, generator=state.latent_source, device=state.device))


def _shares(state: TrainingState) -> Tensor:
    batch_size = state.settings.recipe.batch_size
    return state.ranks.part(torch.rand(batch_size, generator=state.latent_source, device=state.device))

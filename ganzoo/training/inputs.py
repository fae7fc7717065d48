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

from ganzoo.augmentations import NUMBERS
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
    ema_weight: Tensor
    """1 - decay of the generator's moving average, 0 to 1."""


class StagedInputs(NamedTuple):
    """What the host knows of a step: tensors on the device, of the same shapes for every step."""

    batches: tuple[Staged, ...]
    """In the order in which they are used."""
    rates: Tensor
    """[3], the three of `Rates`."""


class DiscriminatorInputs(NamedTuple):
    """For one update of the discriminator."""

    real: Batch
    latents: Tensor | None
    """[batch, dim], of the fakes; None when it shares those of the generator's update."""
    epsilon: Tensor | None
    """[batch], uniform in [0, 1), for regularizers; None without them."""
    augment: Tensor | None
    """[batch, 2, augmentations, NUMBERS], uniform in [0, 1), for real samples and for fakes; None without any."""


class GeneratorInputs(NamedTuple):
    """For the update of the generator."""

    real: Batch | None
    """For losses that compare with real samples; None for the others."""
    latents: Tensor
    """[batch, dim]."""
    labels: Tensor | None
    """int64 [batch], which a conditional model is asked for; None for others."""
    augment: Tensor | None
    """As for the discriminator."""


class StepInputs(NamedTuple):
    """For one step."""

    generator: GeneratorInputs
    discriminator: tuple[DiscriminatorInputs, ...]
    """One for each of its updates."""
    rates: Rates


def stage(state: TrainingState) -> StagedInputs:
    """Do the host's half for the next step. Raises DatasetError when the disk fails."""
    recipe = state.settings.recipe
    num_batches = recipe.discriminator_steps + state.networks.loss.paired
    batches = tuple(state.batches.stage() for _ in range(num_batches))
    left = 1 - state.step / recipe.steps
    optimizers, decay = recipe.optimizers, recipe.ema_decay
    rates = [
        _step_size(optimizers.generator, left),
        _step_size(optimizers.discriminator, left),
        0.0 if decay is None else 1 - _warmed_up(decay, state.step),
    ]
    return StagedInputs(batches, _on_device(rates, state.device))


def _on_device(numbers: list[float], device: torch.device) -> Tensor:
    """Return numbers as a tensor; the host does not wait until they have arrived."""
    if device.type == "cpu":
        return torch.tensor(numbers, dtype=torch.float64)  # they are read as numbers there, and lose nothing
    pinned = device.type == "cuda"
    return torch.tensor(numbers, dtype=torch.float32, pin_memory=pinned).to(device, non_blocking=pinned)


def _step_size(spec: Adam, left: float) -> float:
    """Return the step size when this part of the steps is left, 0 to 1."""
    return spec.learning_rate * (left if spec.decay == "linear" else 1)


def _warmed_up(decay: float, step: int) -> float:
    """Let the average forget the first, useless weights quickly: at most (1 + n) / (10 + n) after n steps."""
    return min(decay, (1 + step) / (10 + step))


def draw(state: TrainingState, staged: StagedInputs) -> StepInputs:
    """Do the device's half."""
    recipe = state.settings.recipe
    batches = iter([state.batches.draw(batch) for batch in staged.batches])
    generator = None
    if recipe.update_order == "generator_first":
        generator = _for_generator(state, batches)
    discriminator = tuple(_for_discriminator(state, batches) for _ in range(recipe.discriminator_steps))
    if generator is None:
        generator = _for_generator(state, batches)
    of_generator, of_discriminator, of_average = staged.rates.unbind()
    return StepInputs(generator, discriminator, Rates(of_generator, of_discriminator, of_average.float()))


def _for_generator(state: TrainingState, batches: Iterator[Batch]) -> GeneratorInputs:
    classes = state.config.sample.classes
    real = next(batches) if state.networks.loss.paired else None
    latents, labels = _latents(state), None
    if classes is not None:
        labels = _labels(state, len(classes)) if real is None else real.labels
    return GeneratorInputs(real, latents, labels, _augment(state))


def _for_discriminator(state: TrainingState, batches: Iterator[Batch]) -> DiscriminatorInputs:
    recipe = state.settings.recipe
    latents = None if recipe.share_fakes else _latents(state)
    epsilon = _epsilon(state) if recipe.regularizers else None
    return DiscriminatorInputs(next(batches), latents, epsilon, _augment(state))


def _latents(state: TrainingState) -> Tensor:
    recipe = state.settings.recipe
    return state.processes.local_rows(draw_latents(recipe.latent, recipe.batch_size, state.latent_source))


def _labels(state: TrainingState, classes: int) -> Tensor:
    shape = (state.settings.recipe.batch_size,)
    return state.processes.local_rows(torch.randint(classes, shape, generator=state.latent_source, device=state.device))


def _epsilon(state: TrainingState) -> Tensor:
    batch_size = state.settings.recipe.batch_size
    return state.processes.local_rows(torch.rand(batch_size, generator=state.latent_source, device=state.device))


def _augment(state: TrainingState) -> Tensor | None:
    recipe = state.settings.recipe
    if not recipe.augment:
        return None
    shape = (recipe.batch_size, 2, len(recipe.augment), NUMBERS)
    return state.processes.local_rows(torch.rand(shape, generator=state.latent_source, device=state.device))

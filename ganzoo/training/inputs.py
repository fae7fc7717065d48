"""The inputs of one step: real samples and random numbers, drawn in the order in which they are used.

They come about in two halves. `prepare_on_host` decides which samples, and what the schedules say for this step, in
ordinary Python; `materialize` gathers the samples and draws the random numbers, on the device alone. A CUDA graph
captures the second half together with the step, and for every replay the first half only overwrites the tensors that it
reads from.

Every rank draws the random numbers of the global batch and keeps its rows, so that the numbers of a run do not depend
on how many processes there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from ganzoo.data.batches import Batch, PreparedBatch
from ganzoo.randomness import draw_latents
from ganzoo.training.schedules import Scheduled
from ganzoo.training.state import TrainingState

AnyBatch = TypeVar("AnyBatch", Batch, PreparedBatch)


class PreparedInputs(NamedTuple):
    """The host's half: tensors on the device, of the same shapes for all steps with full batches."""

    batches: tuple[PreparedBatch, ...]
    """In the order in which they are used."""
    numbers: Tensor
    """[num], the numbers of this step in the order of `Schedules`."""
    regularizers: tuple[str, ...]
    """Names of those that are computed in this step: steps that differ in them are recorded separately."""


class DiscriminatorInputs(NamedTuple):
    """Inputs of one update of the discriminator."""

    real: Batch
    latents: Tensor | None
    """[batch, dim, *grid], of the fakes; None when they are those of the generator's update."""
    noise: dict[str, Tensor]
    """Name -> [batch, *shape], of the fakes; empty for generators that take none."""
    epsilon: Tensor | None
    """[batch], uniform in [0, 1): interpolation coefficients of the gradient penalty; None without regularizers."""
    augment: Tensor | None
    """[batch, 2, augmentations, numbers of each], uniform in [0, 1), for real samples and fakes; None without any."""


class GeneratorInputs(NamedTuple):
    """Inputs of the update of the generator."""

    real: Batch | None
    """For losses that compare with real samples; None for the others."""
    latents: Tensor
    """[batch, dim, *grid]."""
    noise: dict[str, Tensor]
    """As for the discriminator."""
    labels: Tensor | None
    """int64 [batch], for which a conditional model generates, or texts int64 [batch, max_length]; None for others."""
    augment: Tensor | None
    """As for the discriminator."""
    directions: Tensor | None
    """[batch, *shape], standard normal, for regularizers of the generator; None without any."""


class StepInputs(NamedTuple):
    """Inputs of one step."""

    generator: GeneratorInputs
    discriminator: tuple[DiscriminatorInputs, ...]
    """One for each of its updates."""
    scheduled: Scheduled


def prepare_on_host(state: TrainingState) -> PreparedInputs:
    """Return the host's half of the next step's inputs. Raises DatasetError when the disk fails."""
    recipe = state.settings.recipe
    # A paired loss compares the generator's fakes with real samples as well, which takes one more batch.
    num_batches = recipe.discriminator_steps + state.networks.loss.paired
    batches = tuple(state.batches.prepare() for _ in range(num_batches))
    numbers = _on_device(state.schedules.numbers_at(state.step), state.device)
    return PreparedInputs(batches, numbers, state.schedules.regularizers_at(state.step))


def _on_device(numbers: list[float], device: torch.device) -> Tensor:
    """Return numbers as a tensor; from pinned memory, so that the host does not wait until the copy has arrived."""
    if device.type == "cpu":
        return torch.tensor(numbers, dtype=torch.float64)  # read as Python numbers there, so nothing is rounded
    # float32 here: MPS has no float64. Only from pinned memory does a copy to a GPU run while the host goes on.
    pinned = device.type == "cuda"
    return torch.tensor(numbers, dtype=torch.float32, pin_memory=pinned).to(device, non_blocking=pinned)


def materialize(state: TrainingState, prepared: PreparedInputs) -> StepInputs:
    """Do the device's half: return the inputs that were prepared."""
    recipe = state.settings.recipe
    batches, real = _by_net(state, [state.batches.materialize(batch) for batch in prepared.batches])
    # The generator's batch is as large as the real one that it is compared with, else as the discriminator's last one.
    size = len((batches[-1] if real is None else real).samples)

    # The order of these lines is the order of the random numbers.
    if recipe.update_order == "generator_first":
        generator = _for_generator(state, real, batches[-1], size, prepared.regularizers)
    discriminator = tuple(_for_discriminator(state, batch, prepared.regularizers) for batch in batches)
    if recipe.update_order == "discriminator_first":
        generator = _for_generator(state, real, batches[-1], size, prepared.regularizers)
    return StepInputs(generator, discriminator, state.schedules.scheduled(prepared.numbers, prepared.regularizers))


def _by_net(state: TrainingState, batches: Sequence[AnyBatch]) -> tuple[Sequence[AnyBatch], AnyBatch | None]:
    """Return the batches of the discriminator's updates, and the one of the generator's where its loss needs one."""
    if not state.networks.loss.paired:
        return batches, None
    if state.settings.recipe.update_order == "generator_first":
        return batches[1:], batches[0]
    return batches[:-1], batches[-1]


def num_images(state: TrainingState, prepared: PreparedInputs) -> int:
    """Return how many real samples the discriminator learns from in this step, on all ranks together."""
    batches, _ = _by_net(state, prepared.batches)
    return sum(len(batch[0]) for batch in batches) * state.processes.world_size


def is_full(state: TrainingState, prepared: PreparedInputs) -> bool:
    """Whether no batch of this step is the incomplete last one of an epoch: a recorded step takes full batches only."""
    # The first tensor of a prepared batch has one row for each sample of this rank.
    rows = state.settings.recipe.batch_size // state.processes.world_size
    return all(len(batch[0]) == rows for batch in prepared.batches)


def _for_generator(
    state: TrainingState, real: Batch | None, last: Batch, size: int, regularizers: tuple[str, ...]
) -> GeneratorInputs:
    """Return the generator's inputs; `last` is the discriminator's last batch of real samples."""
    classes = state.config.sample.classes
    latents, noise, labels = _latents(state, size), _noise(state, size), None
    # A paired loss compares samples of one class, so its fakes take the labels of the real samples beside them.
    if classes is not None:
        labels = _labels(state, size, len(classes)) if real is None else real.labels
    # Random letters are not texts, so the texts of real samples are taken (Reed et al., arXiv:1605.05396, algorithm 1).
    if state.config.sample.text is not None:
        labels = last.labels if real is None else real.labels
    augment = _augment(state, size)
    regularized = any(state.networks.regularizers_of("generator", regularizers))
    directions = _normal(state, size, *state.config.sample.shape) if regularized else None
    return GeneratorInputs(real, latents, noise, labels, augment, directions)


def _for_discriminator(state: TrainingState, real: Batch, regularizers: tuple[str, ...]) -> DiscriminatorInputs:
    recipe, size = state.settings.recipe, len(real.samples)
    # Only what the recipe uses is drawn: the numbers depend on the recipe, but not on the engine or the number of
    # processes.
    latents = None if recipe.share_fakes else _latents(state, size)
    noise = {} if recipe.share_fakes else _noise(state, size)
    # Drawn for r1 and r2 too, which ignore it: all regularizers take the same arguments.
    regularized = any(state.networks.regularizers_of("discriminator", regularizers))
    epsilon = _uniform(state, size) if regularized else None
    return DiscriminatorInputs(real, latents, noise, epsilon, _augment(state, size))


# --- random numbers of the global batch, of which each rank keeps `size` rows ---


def _latents(state: TrainingState, size: int) -> Tensor:
    # On every rank the same global batch, instead of one rank drawing and sending: numbers are cheap, exchanges are
    # not.
    num = size * state.processes.world_size
    return state.processes.local_rows(draw_latents(state.settings.recipe.latent, num, state.latent_source))


def _noise(state: TrainingState, size: int) -> dict[str, Tensor]:
    num, source = size * state.processes.world_size, state.latent_source
    return {
        name: state.processes.local_rows(torch.randn(num, *shape, generator=source, device=state.device))
        for name, shape in state.noise_shapes.items()
    }


def _labels(state: TrainingState, size: int, classes: int) -> Tensor:
    shape = (size * state.processes.world_size,)
    return state.processes.local_rows(torch.randint(classes, shape, generator=state.latent_source, device=state.device))


def _augment(state: TrainingState, size: int) -> Tensor | None:
    augmentation = state.networks.augmentation
    return _uniform(state, size, 2, len(augmentation), augmentation.num_numbers) if len(augmentation) else None


def _uniform(state: TrainingState, size: int, *shape: int) -> Tensor:
    """Return random numbers in [0, 1), [size, *shape]."""
    shape = (size * state.processes.world_size, *shape)
    return state.processes.local_rows(torch.rand(shape, generator=state.latent_source, device=state.device))


def _normal(state: TrainingState, size: int, *shape: int) -> Tensor:
    """Return standard normal numbers, [size, *shape]."""
    shape = (size * state.processes.world_size, *shape)
    return state.processes.local_rows(torch.randn(shape, generator=state.latent_source, device=state.device))

"""The first batch of a run, with which data and networks are checked against their contracts.

Once, before the run's folder is made, on networks of their own with the same initial weights: random streams,
running statistics and the position in the data stay as they are, and the steps that follow cost nothing more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo import randomness
from ganzoo.data import Batch
from ganzoo.guard import blamed, described, plugin_error
from ganzoo.registry import Registry, architectures, augmentations, datasets, losses, optimizers, regularizers
from ganzoo.sampling import generate
from ganzoo.specs import Discriminators, GeneratorRegularizerInputs, RegularizerInputs
from ganzoo.specs.optimizers import Optimizer
from ganzoo.training.inputs import StepInputs, materialize, prepare_on_host
from ganzoo.training.optimizers import build_optimizer, trainable
from ganzoo.training.regularizers import initial_state
from ganzoo.training.state import TrainingState
from ganzoo.weights.building import build, discriminator_builder, generator_builder

RANGE = 1.001
"""Largest magnitude of the values of an image: 1, and some rounding."""
NAMED = 5
"""Parameters without a gradient that a message names."""

_log = logging.getLogger("ganzoo")


def check_first_batch(state: TrainingState) -> None:
    """Run both networks once on the first batch, forwards and backwards, and what the recipe names beside them.

    Raises PluginError, which names the distribution, the function, and what was expected and found. A parameter that
    gets no gradient is a warning, because some nets have parameters that only other settings use; a net of which no
    parameter gets one is refused, because it would not be trained at all.
    """
    # The caller's random state comes back at the end; the run's own is not touched.
    with randomness.ambient_randomness(state.settings.seed, state.device):
        inputs = _first_inputs(state)
        _check_real(state, inputs.discriminator[0].real)
        _check_nets(state, inputs)


def _first_inputs(state: TrainingState) -> StepInputs:
    """Return the inputs of the first step without advancing any stream."""
    position, latents = state.batches.state_dict(), state.latent_source.get_state()
    inputs = materialize(state, prepare_on_host(state))
    state.batches.load_state_dict(position)
    state.latent_source.set_state(latents)
    return inputs


def _check_real(state: TrainingState, real: Batch) -> None:
    name, sample, num = state.settings.recipe.dataset, state.config.sample, len(real.samples)
    fault = _fault(real.samples, [num, *sample.shape])
    if not fault and sample.kind == "image" and real.samples.abs().amax() > RANGE:
        low, high = real.samples.amin().item(), real.samples.amax().item()
        fault = f"values from {low:.4g} to {high:.4g}, not from -1 to 1"
    if not fault and sample.classes is not None:
        labels, last = real.labels, len(sample.classes) - 1
        if labels is None or described(labels) != f"int64 [{num}]":
            fault = f"labels {described(labels)}, not int64 [{num}]"
        elif not 0 <= labels.amin() <= labels.amax() <= last:
            fault = f"labels outside of 0 to {last}"
    if fault:
        hint = "Check the files of the dataset. If they are right, report this to the author of its plugin."
        raise plugin_error(datasets, name, f"the first batch of {name!r} has {fault}.", hint)


def _check_nets(state: TrainingState, inputs: StepInputs) -> None:
    recipe, config, source = state.settings.recipe, state.config, f"recipe {state.settings.recipe.name}"
    # Built again, from the seeds of the run: a pass through the run's own nets would change their running statistics.
    generator = build(generator_builder(config, source), randomness.derive_seed(state.settings.seed, "generator"))
    discriminator = build(
        discriminator_builder(config, source), randomness.derive_seed(state.settings.seed, "discriminator")
    )
    for net in (generator, discriminator):
        net.to(state.device)
    made, real = inputs.generator, inputs.discriminator[0].real

    def part(rows: Tensor) -> Tensor:
        """Return what one pass of a step sees: the first of the parts whose gradients are accumulated."""
        first = rows[: len(rows) // recipe.accumulate]
        # With several processes it may be a single row, which batch normalization of this process alone refuses.
        return torch.cat([first, first]) if len(first) == 1 else first

    latents, labels = part(made.latents), None if made.labels is None else part(made.labels)
    noise = {name: part(tensor) for name, tensor in made.noise.items()}
    real_labels = part(real.labels) if recipe.conditional and real.labels is not None else None

    with _unchanged(architectures, recipe.architecture, "the generator", [latents, *noise.values()]):
        fake = generate(generator, latents, labels, noise)
    _check_output(recipe.architecture, "generator", fake, [len(latents), *config.sample.shape])
    real_samples = part(real.samples)
    for samples, of in ((real_samples, real_labels), (fake, labels)):
        with _unchanged(architectures, recipe.architecture, "the discriminator", [samples]):
            logits = discriminator(samples) if of is None else discriminator(samples, of)
        _check_output(recipe.architecture, "discriminator", logits, [len(samples)])
    # Of the fakes, the last ones: this gradient passes through both nets, as in the generator's update.
    missed = _check_gradients(recipe.architecture, {"generator": generator, "discriminator": discriminator}, logits)

    for name in recipe.augment:
        _check_augmentation(name, real_samples)
    smoothing = inputs.scheduled.number("label_smoothing", recipe.label_smoothing)
    _check_loss(recipe.loss, logits.detach(), smoothing)
    discriminators = Discriminators(
        real=lambda samples: discriminator(samples) if real_labels is None else discriminator(samples, real_labels),
        fake=lambda samples: discriminator(samples) if labels is None else discriminator(samples, labels),
    )
    for name in recipe.regularizers:
        spec, memory = regularizers.get(name), initial_state(name, state.device)
        given: RegularizerInputs | GeneratorRegularizerInputs
        if spec.of == "discriminator":
            assert inputs.discriminator[0].epsilon is not None
            epsilon = part(inputs.discriminator[0].epsilon)
            given = RegularizerInputs(
                discriminators=discriminators,
                discriminator=discriminator,
                real=real_samples,
                fake=fake.detach(),
                real_labels=real_labels,
                fake_labels=labels,
                epsilon=epsilon,
                state=memory,
            )
        else:
            assert made.directions is not None
            given = GeneratorRegularizerInputs(
                generate=lambda latents: generate(generator, latents, labels, noise),
                latents=latents,
                fake=fake,
                labels=labels,
                discriminator=discriminator,
                directions=part(made.directions),
                state=memory,
            )
        with blamed(regularizers, name, "compute"):
            term = spec.compute(given)
        _check_scalar(regularizers, name, "compute", term)
        # Such as decoders, which only the reconstruction of their input trains.
        parameters = missed[spec.of]
        if parameters:
            gradients = torch.autograd.grad(term, list(parameters.values()), allow_unused=True, retain_graph=True)
            for parameter, gradient in zip(list(parameters), gradients, strict=True):
                if gradient is not None:
                    del parameters[parameter]
    for role, parameters in missed.items():
        if parameters:
            what = f"no gradient reaches {_listed(list(parameters))} of the {role} of {recipe.architecture!r}."
            _log.warning("Warning: %s", plugin_error(architectures, recipe.architecture, what))
    # The last check, because it changes the nets.
    _check_optimizer(generator, recipe.optimizers.generator, inputs.scheduled.generator)
    _check_optimizer(discriminator, recipe.optimizers.discriminator, inputs.scheduled.discriminator)


def _check_augmentation(name: str, real: Tensor) -> None:
    spec, images = augmentations.get(name), real.clone().requires_grad_() * 1  # augmented fakes are no leaves either
    numbers = torch.rand(len(images), spec.num_numbers, device=images.device)
    with _unchanged(augmentations, name, "apply", [images, numbers]):
        changed = spec.apply(images, numbers)
    fault = _fault(changed, images.shape)
    if fault:
        raise plugin_error(augmentations, name, f"apply of {name!r} returned {fault}.")
    if not changed.requires_grad:
        what = f"no gradient passes through {name!r}, so the generator would not learn from augmented images."
        raise plugin_error(augmentations, name, what)


def _check_loss(name: str, logits: Tensor, smoothing: float | Tensor) -> None:
    spec = losses.get(name)
    real, fake = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    with blamed(losses, name, "the discriminator's half"):
        loss_d = spec.discriminator(real, fake, smoothing)
    _check_scalar(losses, name, "the discriminator's half", loss_d)
    with blamed(losses, name, "the generator's half"):
        loss_g = spec.generator(fake, real.detach() if spec.paired else None)
    _check_scalar(losses, name, "the generator's half", loss_g)


def _check_scalar(registry: Registry[Any], name: str, function: str, value: Tensor) -> None:
    """Check what a loss or regularizer returned."""
    fault = _fault(value, [])
    if fault:
        raise plugin_error(registry, name, f"{function} of {name!r} returned {fault}.")
    if not value.requires_grad:
        what = f"{function} of {name!r} returned a constant, through which no gradient passes."
        raise plugin_error(registry, name, what)


def _check_optimizer(net: nn.Module, settings: Optimizer, values: dict[str, Tensor]) -> None:
    parameters, optimizer = trainable(net), build_optimizer(net, settings)
    with blamed(optimizers, settings.kind, "update"):
        optimizer.update(parameters, [torch.randn_like(parameter) for parameter in parameters], values)
    if not all(bool(parameter.isfinite().all()) for parameter in parameters):
        what = f"update of {settings.kind!r} makes parameters NaN or infinite."
        raise plugin_error(optimizers, settings.kind, what)


@contextmanager
def _unchanged(registry: Registry[Any], name: str, function: str, given: Sequence[Tensor]) -> Iterator[None]:
    """Run a function of a plugin; it must leave its inputs as they are."""
    before = [tensor.detach().clone() for tensor in given]
    with blamed(registry, name, function):
        yield
    if not all(map(torch.equal, given, before)):
        raise plugin_error(registry, name, f"{function} of {name!r} changes its input in place.")


def _check_output(name: str, role: str, output: Tensor, shape: Sequence[int]) -> None:
    fault = _fault(output, shape)
    if fault:
        raise plugin_error(architectures, name, f"the {role} of {name!r} returned {fault}.")
    if not output.requires_grad:
        what = f"no gradient passes through the output of the {role} of {name!r}."
        raise plugin_error(architectures, name, what, "Do not detach it, or compute it under torch.no_grad().")


def _fault(values: Tensor, shape: Sequence[int]) -> str:
    """Return how values differ from finite float32 of a shape; empty if they do not."""
    expected = f"float32 {list(shape)}"
    if not isinstance(values, Tensor):
        return f"{type(values).__name__}, not a tensor {expected}"
    if described(values) != expected:
        return f"{described(values)}, not {expected}"
    return "" if bool(values.isfinite().all()) else "NaN or infinite values"


def _check_gradients(name: str, nets: Mapping[str, nn.Module], logits: Tensor) -> dict[str, dict[str, Tensor]]:
    """Return by net and name the parameters that get no gradient from logits. Raises PluginError if none gets one."""
    named = {role: _trainable(net) for role, net in nets.items()}
    for role, parameters in named.items():
        if not parameters:
            raise plugin_error(architectures, name, f"the {role} of {name!r} has no trainable parameter.")
    all_parameters = [parameter for trainable in named.values() for parameter in trainable.values()]
    with blamed(architectures, name, "the gradient"):
        gradients = iter(torch.autograd.grad(logits.mean(), all_parameters, allow_unused=True))
    missed = {}
    for role, parameters in named.items():
        found = {parameter: next(gradients) for parameter in parameters}
        missed[role] = {parameter: parameters[parameter] for parameter, gradient in found.items() if gradient is None}
        if len(missed[role]) == len(found):
            raise plugin_error(architectures, name, f"no gradient reaches the {role} of {name!r}.", _NO_GRADIENT[role])
        for parameter, gradient in found.items():
            if gradient is not None and not bool(gradient.isfinite().all()):
                what = f"the gradient of {parameter!r} in the {role} of {name!r} holds NaN or infinite values."
                raise plugin_error(architectures, name, what)
    return missed


_NO_GRADIENT = {
    "generator": "The discriminator must pass gradients on to its input: do not detach it.",
    "discriminator": "Its logits must depend on its parameters.",
}


def _trainable(net: nn.Module) -> dict[str, Tensor]:
    return {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(repr, names[:NAMED])) + more

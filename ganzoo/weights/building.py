"""Configs -> modules, with a limit on their size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import SettingsError, UsageError, WeightsFormatError, shortened
from ganzoo.guard import guarded, plugin_error
from ganzoo.registry import architectures
from ganzoo.requirements import naming_plugins
from ganzoo.specs import ArchitectureSpec
from ganzoo.validation import architecture_config, validated

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ganzoo.weights.model_config import ModelConfig

MAX_PARAMETERS = 2_000_000_000
"""A larger config is refused before any memory is allocated."""


def generator_builder(config: ModelConfig, source: str) -> Callable[[], nn.Module]:
    """Return a function that builds the generator. Raises SettingsError, UnknownNameError, PluginError."""
    spec = _architecture(config, source)
    values = architecture_config(spec, config.config, source)
    _check_condition(config, spec, source)
    if config.latent.grid and not spec.latent_grid:
        raise SettingsError(
            f"{source}: the architecture {config.architecture!r} takes latents of one axis, not "
            f"{list(config.latent.shape)}.",
            hint="Set latent.grid=[], or choose an architecture with latent_grid.",
        )
    built = _guarded(config, "build_generator", lambda: spec.build_generator(values, config.latent, config.sample))
    output_range = config.output_range
    if output_range is None:
        return built
    if config.sample.kind != "image" or output_range[0] >= output_range[1]:
        raise SettingsError(
            f"{source}: {config.sample.kind} samples cannot be mapped from {list(output_range)} to [-1, 1].",
            hint="A range is for images: two numbers, the lower one first.",
        )
    from ganzoo.weights.rescaling import Rescaled

    return lambda: Rescaled(built(), output_range)


def discriminator_builder(config: ModelConfig, source: str) -> Callable[[], nn.Module]:
    """Return a function that builds the discriminator. Raises SettingsError, UnknownNameError, PluginError."""
    spec = _architecture(config, source)
    build_discriminator = spec.build_discriminator
    if build_discriminator is None:
        raise SettingsError(
            f"{source}: the architecture {config.architecture!r} has no discriminator, so it cannot be trained.",
            hint="Import weights for it with `ganzoo import`, or train another architecture.",
        )
    values = architecture_config(spec, config.config, source)
    _check_condition(config, spec, source)
    return _guarded(config, "build_discriminator", lambda: build_discriminator(values, config.sample))


def _guarded(config: ModelConfig, function: str, build: Callable[[], object]) -> Callable[[], nn.Module]:
    """Return a builder whose faults name the plugin. Raises PluginError when it is called."""
    from torch import nn

    def builder() -> nn.Module:
        with guarded(architectures, config.architecture, function):
            module = build()
        fault = _fault(module)
        if fault or not isinstance(module, nn.Module):
            what = f"{function} of {config.architecture!r} returned {fault}."
            raise plugin_error(architectures, config.architecture, what)
        return module

    return builder


def _fault(module: object) -> str:
    """Return why the result of a builder cannot be trained or saved; empty if it can."""
    import torch
    from torch import nn
    from torch.nn.parameter import is_lazy

    if not isinstance(module, nn.Module):
        return f"{type(module).__name__}, not a torch.nn.Module"
    on_meta = torch.empty(0).is_meta  # the device of the caller's `with torch.device(…)`
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(tensor):
            return f"a module with the lazy parameter {name!r}; its shape must follow from the config"
        if tensor.is_meta and not on_meta:
            return f"a module whose tensor {name!r} is on the meta device"
    for name, value in module.state_dict().items():
        if not isinstance(value, torch.Tensor):
            return f"a module whose state {name!r} is not a tensor, and so cannot be saved"
    return ""


def _architecture(config: ModelConfig, source: str) -> ArchitectureSpec:
    with naming_plugins(config.requires, source):
        return architectures.get(config.architecture)


def noise_shapes(config: ModelConfig, source: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a sample's noise by name, empty for a generator that takes none; raises as the builders."""
    spec = _architecture(config, source)
    if spec.noise is None:
        return {}
    return dict(spec.noise(architecture_config(spec, config.config, source), config.sample))


def sampling_options(config: ModelConfig, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the keyword arguments that a generator gets when sampling: the given options, the others' defaults.

    Raises UsageError for an option that does not exist, SettingsError, UnknownNameError, PluginError.
    """
    kind = _architecture(config, config.recipe).sampling_options
    names = [] if kind is None else [field.name for field in dataclasses.fields(kind)]
    for name in values or ():
        if name not in names:
            raise UsageError(
                f"the architecture {config.architecture!r} has no sampling option {shortened(name)!r}.",
                hint=f"It has {', '.join(names)}." if names else "It has none; leave it out.",
            )
    if kind is None:
        return {}
    options = validated(kind, values or {}, f"sampling options of {config.architecture!r}")
    return {name: getattr(options, name) for name in names}


def _check_condition(config: ModelConfig, spec: ArchitectureSpec, source: str) -> None:
    conditions = {"classes": "labels", "text": "texts"}
    given = [name for name in conditions if getattr(config.sample, name) is not None]
    for name in given:
        if name not in spec.conditions:
            raise SettingsError(
                f"{source}: the architecture {config.architecture!r} does not take {conditions[name]}.",
                hint=f"Train with conditional=false, or with an architecture that takes {conditions[name]}.",
            )
    if not given and not spec.unconditional:
        needed = " or ".join(conditions[name] for name in spec.conditions)
        raise SettingsError(
            f"{source}: the architecture {config.architecture!r} needs {needed}.",
            hint=f"Train with conditional=true on a dataset with {needed}, or with another architecture.",
        )


def build(builder: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build a module on the CPU, its initial weights fixed by the seed; torch's global random state stays as it is.

    Raises SettingsError when it would have too many parameters.
    """
    import torch

    # Counts the parameters without memory: a config from an untrusted file must not be able to exhaust it.
    build_on_meta(builder)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also reseed every GPU
        return builder()


def build_on_meta(builder: Callable[[], nn.Module]) -> nn.Module:
    """Build a module on the meta device, without memory for its tensors. Raises SettingsError when it is too large."""
    import torch

    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        module = builder()
    count = num_parameters(module)
    if count > MAX_PARAMETERS:
        raise SettingsError(
            f"the config describes {count:,} parameters; the limit is {MAX_PARAMETERS:,}.",
            hint="Use a smaller config.",
        )
    return module


def num_parameters(module: nn.Module) -> int:
    """Count the parameters of a module, shared ones once."""
    return sum(parameter.numel() for parameter in module.parameters())


def build_with_weights(
    builder: Callable[[], nn.Module], tensors: Mapping[str, torch.Tensor], where: Path | str
) -> nn.Module:
    """Build a module and load exactly these tensors.

    Names, shapes and types must match. Raises WeightsFormatError, before memory is allocated for the module.
    """
    # load_state_dict would copy float64 into float32 without a word, so dtypes are compared here, too.
    expected = {name: _shape_and_dtype(tensor) for name, tensor in build_on_meta(builder).state_dict().items()}
    found = {name: _shape_and_dtype(tensor) for name, tensor in tensors.items()}
    if expected != found:
        raise WeightsFormatError(
            f"{where} does not fit its config: {_first_difference(expected, found)}.",
            hint="Use the config.json that was written with these weights.",
        )
    # All values are overwritten on the next line; the seed only keeps the global generator out of it.
    module = build(builder, seed=0)
    module.load_state_dict(dict(tensors), strict=True)
    return module


def _shape_and_dtype(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.dtype


def _first_difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    for name in expected:
        if name not in found:
            return f"tensor {name!r} is missing"
        if expected[name] != found[name]:
            return f"tensor {name!r} is {shortened(_described(found[name]))}, not {_described(expected[name])}"
    stray = next(name for name in found if name not in expected)
    return f"tensor {shortened(stray, 100)!r} is not in the model"


def _described(shape_and_dtype: tuple[Any, ...]) -> str:
    shape, dtype = shape_and_dtype
    return f"{list(shape)} {str(dtype).removeprefix('torch.')}"

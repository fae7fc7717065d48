"""The optimizer of each net, from the settings in a recipe, and which parameters it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from ganzoo import registry
from ganzoo.errors import SettingsError, shortened
from ganzoo.guard import described, guarded, plugin_error
from ganzoo.specs.optimizers import Optimizer, RegisteredOptimizer
from ganzoo.validation import hint_to_show, validated


def optimizer_config(optimizer: Optimizer) -> Any:
    """Return the config that an optimizer is built from. Raises UnknownNameError, PluginError, SettingsError."""
    spec = registry.optimizers.get(optimizer.kind)
    if not isinstance(optimizer, RegisteredOptimizer):
        return optimizer
    where = f"options of the optimizer {spec.name!r}"
    return validated(spec.config, optimizer.options, where, hint_to_show(spec.name))


def build_optimizer(net: nn.Module, optimizer: Optimizer) -> Any:
    """Return a module whose `update` changes the trainable parameters of a net.

    Raises SettingsError if there are none, and PluginError.
    """
    parameters = trainable(net)
    if not parameters:
        raise SettingsError(f"{type(net).__name__} has no trainable parameters.", hint="Use another config.")
    spec, config = registry.optimizers.get(optimizer.kind), optimizer_config(optimizer)
    with guarded(registry.optimizers, spec.name, "build"):
        built = spec.build(parameters, config)
    if not isinstance(built, nn.Module) or not callable(getattr(built, "update", None)):
        what = f"build of {spec.name!r} returned {described(built)}, not a module with a method `update`."
        raise plugin_error(registry.optimizers, spec.name, what)
    return built


def trainable(net: nn.Module) -> list[Tensor]:
    """Return the parameters of a net that are trained, in order."""
    return [parameter for parameter in net.parameters() if parameter.requires_grad]


def freeze(nets: Mapping[str, nn.Module], patterns: Sequence[str]) -> None:
    """Exclude the parameters that match a pattern, such as `generator.layers.0.*`, from the training.

    Raises SettingsError for a pattern that matches nothing, or patterns that leave a net nothing to train.
    """
    parameters = {
        f"{role}.{name}": parameter for role, net in nets.items() for name, parameter in net.named_parameters()
    }
    for pattern in patterns:
        matches = [parameter for name, parameter in parameters.items() if fnmatchcase(name, pattern)]
        if not matches:
            raise SettingsError(
                f"freeze: no parameter matches {pattern!r}.",
                hint=f"Names are such as {shortened(', '.join(parameters), 150)}.",
            )
        for parameter in matches:
            parameter.requires_grad_(False)
    for role, net in nets.items():
        if patterns and not any(parameter.requires_grad for parameter in net.parameters()):
            raise SettingsError(f"freeze leaves nothing of the {role} to train.", hint="Freeze fewer layers.")

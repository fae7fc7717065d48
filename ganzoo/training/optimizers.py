"""The optimizer of each net, from the settings in a recipe."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ganzoo import registry
from ganzoo.errors import SettingsError
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

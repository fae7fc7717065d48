"""The optimizer of each net, from the settings in a recipe."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ganzoo import registry
from ganzoo.errors import SettingsError
from ganzoo.specs.optimizers import Optimizer, RegisteredOptimizer
from ganzoo.validation import validated


def optimizer_config(optimizer: Optimizer) -> Any:
    """Return the config that an optimizer is built from. Raises UnknownNameError, PluginError, SettingsError."""
    spec = registry.optimizers.get(optimizer.kind)
    if not isinstance(optimizer, RegisteredOptimizer):
        return optimizer
    return validated(spec.config, optimizer.options, f"options of the optimizer {spec.name!r}")


def build_optimizer(net: nn.Module, optimizer: Optimizer) -> Any:
    """Return a module whose `update` changes the trainable parameters of a net. Raises SettingsError without any."""
    parameters = trainable(net)
    if not parameters:
        raise SettingsError(f"{type(net).__name__} has no trainable parameters.", hint="Use another config.")
    return registry.optimizers.get(optimizer.kind).build(parameters, optimizer_config(optimizer))


def trainable(net: nn.Module) -> list[Tensor]:
    """Return the parameters of a net that are trained, in order."""
    return [parameter for parameter in net.parameters() if parameter.requires_grad]

"""The regularizers of a recipe, with what they remember from step to step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganzoo import registry
from ganzoo.distributed.processes import Processes
from ganzoo.guard import described, guarded, plugin_error
from ganzoo.specs import GeneratorRegularizerInputs, Number, Regularization, RegularizerInputs
from ganzoo.training.schedules import Scheduled, as_regularization


def initial_state(name: str, device: torch.device) -> dict[str, Tensor]:
    """Return what a regularizer remembers before the first step, as tensors of one's own. Raises PluginError."""
    with guarded(registry.regularizers, name, "state"):
        state = registry.regularizers.get(name).state()
    if not isinstance(state, Mapping) or any(described(value)[:7] != "float32" for value in state.values()):
        what = f"state of {name!r} returned {state!r:.200}, not float32 tensors by name."
        raise plugin_error(registry.regularizers, name, what)
    return {key: tensor.to(device, copy=True) for key, tensor in state.items()}


class Regularizer(nn.Module):
    """A regularizer with its weight; its state are its buffers, so that it is recorded and saved with the nets."""

    def __init__(
        self, name: str, value: Number[float] | Regularization, device: torch.device, processes: Processes
    ) -> None:
        super().__init__()
        self._processes = processes
        self.name, self.spec = name, registry.regularizers.get(name)
        regularization = as_regularization(value)
        self.weight, self.every = regularization.weight, regularization.every
        for key, tensor in initial_state(name, device).items():
            self.register_buffer(key, tensor)

    def compute(self, inputs: RegularizerInputs | GeneratorRegularizerInputs) -> Tensor:
        """Return the term [] without its factor."""
        term = self.spec.compute(inputs)
        if self._processes.world_size > 1 and self.state:
            means = self._processes.all_reduce_mean(list(self.state.values()))
            for tensor, mean in zip(self.state.values(), means, strict=True):
                tensor.copy_(mean)
        return term

    @property
    def state(self) -> Mapping[str, Tensor]:
        """What the spec's `state` returned, as it is now."""
        return dict(self.named_buffers())

    def weight_in(self, scheduled: Scheduled) -> float | Tensor:
        """Return the weight of the term in a step: as many times its own as steps go by from one to the next."""
        return self.every * scheduled.number(f"regularizers.{self.name}", self.weight)

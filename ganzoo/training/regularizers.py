"""The regularizers of a recipe, with what they remember from step to step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganzoo import registry
from ganzoo.distributed.processes import Processes
from ganzoo.specs import GeneratorRegularizerInputs, Number, Regularization, RegularizerInputs


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
        for key, tensor in self.spec.state().items():
            self.register_buffer(key, tensor.to(device))

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

    def factor(self, numbers: Mapping[str, Tensor]) -> float | Tensor:
        """Return the factor of the term, given the numbers of this step that have schedules."""
        return self.every * numbers.get(f"regularizers.{self.name}", self.weight)  # type: ignore[operator]


def as_regularization(value: Number[float] | Regularization) -> Regularization:
    """Return a weight as what it stands for: a regularizer that is computed in each step."""
    return value if isinstance(value, Regularization) else Regularization(weight=value)

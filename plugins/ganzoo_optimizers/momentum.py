"""RMSprop and gradient descent: one operation for all parameters of a net at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ganzoo.specs import SGD, RMSprop


class ForeachRMSprop(nn.Module):
    """The running mean squares of the gradients, and the momentum where there is one."""

    def __init__(self, parameters: Sequence[Tensor], config: RMSprop) -> None:
        super().__init__()
        self._config = config
        self.squares = _Zeros(parameters)
        self.momentum = _Zeros(parameters if config.momentum else [])

    @torch.no_grad()
    def update(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], values: Mapping[str, Tensor]) -> None:
        """Update the parameters by their gradients."""
        config, parameters = self._config, list(parameters)
        directions, squares = _with_weight_decay(parameters, gradients, config.weight_decay), self.squares.tensors()
        torch._foreach_mul_(squares, config.alpha)
        torch._foreach_addcmul_(squares, directions, directions, 1 - config.alpha)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, config.eps)
        steps = torch._foreach_div(directions, roots)
        if config.momentum:
            steps = _accumulated(self.momentum, steps, config.momentum)
        torch._foreach_sub_(parameters, torch._foreach_mul(steps, values["learning_rate"]))


class ForeachSGD(nn.Module):
    """The momentum of gradient descent, where there is one."""

    def __init__(self, parameters: Sequence[Tensor], config: SGD) -> None:
        super().__init__()
        self._config = config
        self.momentum = _Zeros(parameters if config.momentum else [])

    @torch.no_grad()
    def update(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], values: Mapping[str, Tensor]) -> None:
        """Update the parameters by their gradients."""
        config, parameters = self._config, list(parameters)
        steps = _with_weight_decay(parameters, gradients, config.weight_decay)
        if config.momentum:
            momentum = _accumulated(self.momentum, steps, config.momentum)
            steps = torch._foreach_add(steps, momentum, alpha=config.momentum) if config.nesterov else momentum
        torch._foreach_sub_(parameters, torch._foreach_mul(steps, values["learning_rate"]))


class _Zeros(nn.Module):
    """A buffer of zeros for each parameter, laid out as it is."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        super().__init__()
        for index, parameter in enumerate(parameters):
            self.register_buffer(str(index), torch.zeros_like(parameter, requires_grad=False))

    def tensors(self) -> list[Tensor]:
        return list(self.buffers())


def _with_weight_decay(parameters: list[Tensor], gradients: Sequence[Tensor], weight_decay: float) -> list[Tensor]:
    return list(torch._foreach_add(gradients, parameters, alpha=weight_decay)) if weight_decay else list(gradients)


def _accumulated(momentum: _Zeros, steps: Sequence[Tensor], factor: float) -> list[Tensor]:
    """Add steps to the momentum of those before, and return it."""
    tensors = momentum.tensors()
    torch._foreach_mul_(tensors, factor)
    torch._foreach_add_(tensors, steps)
    return tensors

"""RMSprop and gradient descent, in elementary operations that torch's compiler and CUDA graphs put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ganzoo.specs import SGD, RMSprop


class ElementaryRMSprop(nn.Module):
    """The running mean squares of the gradients, and the momentum where there is one."""

    def __init__(self, parameters: Sequence[Tensor], config: RMSprop) -> None:
        super().__init__()
        self._config = config
        self.squares = _Zeros(parameters)
        self.momentum = _Zeros(parameters if config.momentum else [])

    @torch.no_grad()
    def update(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], values: Mapping[str, Tensor]) -> None:
        """Update the parameters by their gradients."""
        config = self._config
        steps = []
        for parameter, gradient, square in zip(parameters, gradients, self.squares.buffers(), strict=True):
            direction = _with_weight_decay(gradient, parameter, config.weight_decay)
            square.mul_(config.alpha).addcmul_(direction, direction, value=1 - config.alpha)
            steps.append(direction / (square.sqrt() + config.eps))
        if config.momentum:
            steps = _accumulated(self.momentum, steps, config.momentum)
        _move(parameters, steps, values["learning_rate"])


class ElementarySGD(nn.Module):
    """The momentum of gradient descent, where there is one."""

    def __init__(self, parameters: Sequence[Tensor], config: SGD) -> None:
        super().__init__()
        self._config = config
        self.momentum = _Zeros(parameters if config.momentum else [])

    @torch.no_grad()
    def update(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], values: Mapping[str, Tensor]) -> None:
        """Update the parameters by their gradients."""
        config = self._config
        pairs = zip(gradients, parameters, strict=True)
        steps = [_with_weight_decay(gradient, parameter, config.weight_decay) for gradient, parameter in pairs]
        if config.momentum:
            momentum = _accumulated(self.momentum, steps, config.momentum)
            # Nesterov's form looks one step of momentum ahead.
            ahead = [step.add(past, alpha=config.momentum) for step, past in zip(steps, momentum, strict=True)]
            steps = ahead if config.nesterov else momentum
        _move(parameters, steps, values["learning_rate"])


class _Zeros(nn.Module):
    """A buffer of zeros for each parameter, laid out as it is."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        super().__init__()
        for index, parameter in enumerate(parameters):
            self.register_buffer(str(index), torch.zeros_like(parameter, requires_grad=False))


def _with_weight_decay(gradient: Tensor, parameter: Tensor, weight_decay: float) -> Tensor:
    return gradient.add(parameter, alpha=weight_decay) if weight_decay else gradient


def _accumulated(momentum: _Zeros, steps: Sequence[Tensor], factor: float) -> list[Tensor]:
    """Add steps to the momentum of those before, and return it."""
    return [past.mul_(factor).add_(step) for past, step in zip(momentum.buffers(), steps, strict=True)]


def _move(parameters: Sequence[Tensor], steps: Sequence[Tensor], learning_rate: Tensor) -> None:
    for parameter, step in zip(parameters, steps, strict=True):
        parameter.sub_(step * learning_rate)

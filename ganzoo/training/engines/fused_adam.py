"""Adam over all parameters of a net in one operation, its moments as buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ganzoo.errors import SettingsError
from ganzoo.specs import Adam


class FusedAdam(nn.Module):
    """The moments of a net's trainable parameters, and the update that reads and writes them.

    `torch.optim.Adam` does the same with the same operation, but decides on the host, parameter by parameter, what it
    is about to do: on small nets that takes longer than the update, and a captured step cannot contain it.
    """

    def __init__(self, net: nn.Module, spec: Adam) -> None:
        super().__init__()
        parameters = trainable(net)
        if not parameters:
            raise SettingsError(f"{type(net).__name__} has nothing to train.", hint="Use another config.")
        self._spec = spec
        self.step: Tensor = nn.Buffer(torch.zeros((), device=parameters[0].device))
        # They lie in memory as their parameters do, which the operation expects.
        self._means = [f"mean_{index}" for index in range(len(parameters))]
        self._squares = [f"square_{index}" for index in range(len(parameters))]
        for mean, square, parameter in zip(self._means, self._squares, parameters, strict=True):
            self.register_buffer(mean, torch.zeros_like(parameter, requires_grad=False))
            self.register_buffer(square, torch.zeros_like(parameter, requires_grad=False))

    @torch.no_grad()
    def update(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], learning_rate: Tensor) -> None:
        """Move the parameters against their gradients (Kingma and Ba, arXiv:1412.6980, algorithm 1)."""
        self.step.add_(1)
        torch._fused_adam_(
            list(parameters),
            [_laid_out_as(parameter, gradient) for parameter, gradient in zip(parameters, gradients, strict=True)],
            [self.get_buffer(name) for name in self._means],
            [self.get_buffer(name) for name in self._squares],
            [],
            [self.step] * len(parameters),
            lr=learning_rate,
            beta1=self._spec.betas[0],
            beta2=self._spec.betas[1],
            weight_decay=self._spec.weight_decay,
            eps=self._spec.eps,
            amsgrad=False,
            maximize=False,
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return the moments by name, for a checkpoint: `step`, `0/exp_avg`, `0/exp_avg_sq`, `1/exp_avg`, and so on."""
        found: dict[str, Tensor] = {"step": self.step}
        for index, (mean, square) in enumerate(zip(self._means, self._squares, strict=True)):
            found[f"{index}/exp_avg"], found[f"{index}/exp_avg_sq"] = self.get_buffer(mean), self.get_buffer(square)
        return found

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` returned. Raises KeyError, RuntimeError."""
        if "step" not in tensors and "0/step" in tensors:  # an older ganzoo counted for each parameter
            tensors = {**tensors, "step": tensors["0/step"]}
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])


def _laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return a gradient that lies in memory as its parameter does: the operation takes both for flat arrays.

    That of a gradient's own gradient may not: a convolution's comes with the channels first, whatever its weight.
    """
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)


def trainable(net: nn.Module) -> list[Tensor]:
    """Return the parameters of a net that are trained, in order."""
    return [parameter for parameter in net.parameters() if parameter.requires_grad]


def adam_by_formula(
    parameters: list[Tensor],
    gradients: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    largest_squares: list[Tensor],
    steps: list[Tensor],
    *,
    lr: Tensor,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    **unused: object,
) -> None:
    """Do what the fused operation does in ordinary ones, from which a compiler makes its own loops."""
    correction, root = 1 - beta1 ** steps[0], (1 - beta2 ** steps[0]).sqrt()
    for parameter, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
        if weight_decay:
            gradient = gradient + weight_decay * parameter
        mean.lerp_(gradient, 1 - beta1)
        square.lerp_(gradient.square(), 1 - beta2)
        parameter.sub_((lr / correction).float() * mean / (square.sqrt() / root + eps))

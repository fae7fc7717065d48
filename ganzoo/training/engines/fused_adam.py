"""Adam over all parameters of a net in one operation, with its moments as buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ganzoo.errors import SettingsError
from ganzoo.specs import Adam
from ganzoo.system.torch_private import fused_adam


class FusedAdam(nn.Module):
    """The moments of a net's trainable parameters, and the update that reads and writes them.

    `torch.optim.Adam(fused=True)` calls the same kernel, but decides on the host, parameter by parameter, what to do:
    on small nets that takes longer than the kernel. As a module, its moments are found by `named_buffers` together with
    all other tensors that a step changes, which recording needs.
    """

    def __init__(self, net: nn.Module, spec: Adam) -> None:
        super().__init__()
        parameters = trainable(net)
        if not parameters:
            raise SettingsError(f"{type(net).__name__} has no trainable parameters.", hint="Use another config.")
        self._spec = spec
        # float32, as the kernel takes it. It stops counting at 2**24, where both bias corrections have long been 1.
        self.step: Tensor = nn.Buffer(torch.zeros((), device=parameters[0].device))
        # zeros_like keeps the strides of the parameter, which the kernel expects of its moments.
        self._means = [f"mean_{index}" for index in range(len(parameters))]
        self._squares = [f"square_{index}" for index in range(len(parameters))]
        for mean, square, parameter in zip(self._means, self._squares, parameters, strict=True):
            self.register_buffer(mean, torch.zeros_like(parameter, requires_grad=False))
            self.register_buffer(square, torch.zeros_like(parameter, requires_grad=False))

    @torch.no_grad()
    def update(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], learning_rate: Tensor) -> None:
        """Update the parameters by their gradients (Kingma and Ba, arXiv:1412.6980, algorithm 1)."""
        # The kernel reads the step and does not advance it; torch.optim counts before the call, too.
        self.step.add_(1)
        kernel = fused_adam() or adam_by_formula
        kernel(
            list(parameters),
            [_with_strides_of(parameter, gradient) for parameter, gradient in zip(parameters, gradients, strict=True)],
            [self.get_buffer(name) for name in self._means],
            [self.get_buffer(name) for name in self._squares],
            [],  # largest squares, for AMSGrad only
            [self.step] * len(parameters),  # one for each parameter, and all the same
            lr=learning_rate,  # a tensor: a captured step would repeat the value of a number
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
        """Restore what `tensors` returned. Raises KeyError, RuntimeError."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])


def _with_strides_of(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return a gradient with the strides of its parameter: the kernel walks through both as flat arrays.

    They differ where a gradient was itself differentiated: that of a channels-last convolution comes channels first.
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
    """Compute what the fused kernel does in elementary operations, which torch's compiler fuses into its own loops."""
    # Algorithm 1 with both bias corrections: m / (1 - beta1^t) over sqrt(v / (1 - beta2^t)) + eps.
    correction, root = 1 - beta1 ** steps[0], (1 - beta2 ** steps[0]).sqrt()
    for parameter, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
        if weight_decay:
            gradient = gradient + weight_decay * parameter  # L2, not the decoupled decay of AdamW
        mean.lerp_(gradient, 1 - beta1)  # beta1 m + (1 - beta1) g
        square.lerp_(gradient.square(), 1 - beta2)
        # On a CPU the learning rate is a float64 tensor.
        parameter.sub_((lr / correction).float() * mean / (square.sqrt() / root + eps))

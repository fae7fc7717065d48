"""Adam and AdamW over all parameters of a net in one operation, with their moments as buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ganzoo.optimizers import adam_by_formula, adamw_by_formula, fused_adam, fused_adamw
from ganzoo.specs import Adam, AdamW


class FusedAdam(nn.Module):
    """The moments of a net's parameters, and the update that reads and writes them.

    `torch.optim.Adam(fused=True)` calls the same kernel, but decides on the host, parameter by parameter, what to do:
    on small nets that takes longer than the kernel. As a module, its moments are found by `named_buffers` together with
    all other tensors that a step changes, which recording needs.
    """

    _fused = staticmethod(fused_adam)
    _formula = staticmethod(adam_by_formula)

    def __init__(self, parameters: Sequence[Tensor], config: Adam | AdamW) -> None:
        super().__init__()
        self._config = config
        # float32, as the kernel takes it. It stops counting at 2**24, where both bias corrections have long been 1.
        self.step: Tensor = nn.Buffer(torch.zeros((), device=parameters[0].device))
        # Named as in torch.optim. zeros_like keeps the strides of the parameter, which the kernel expects of moments.
        self._means = [f"{index}/exp_avg" for index in range(len(parameters))]
        self._squares = [f"{index}/exp_avg_sq" for index in range(len(parameters))]
        for mean, square, parameter in zip(self._means, self._squares, parameters, strict=True):
            self.register_buffer(mean, torch.zeros_like(parameter, requires_grad=False))
            self.register_buffer(square, torch.zeros_like(parameter, requires_grad=False))

    @torch.no_grad()
    def update(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], values: Mapping[str, Tensor]) -> None:
        """Update the parameters by their gradients."""
        config = self._config
        # The kernels take numbers: betas that a schedule changes need the formula.
        update = self._formula if values.keys() & {"betas.0", "betas.1"} else self._fused
        # The kernel reads the step and does not advance it; torch.optim counts before the call, too.
        self.step.add_(1)
        update(
            list(parameters),
            [_with_strides_of(parameter, gradient) for parameter, gradient in zip(parameters, gradients, strict=True)],
            [self.get_buffer(name) for name in self._means],
            [self.get_buffer(name) for name in self._squares],
            [],  # largest squares, for AMSGrad only
            [self.step] * len(parameters),  # one for each parameter, and all the same
            lr=values["learning_rate"],  # a tensor: a captured step would repeat the value of a number
            beta1=values.get("betas.0", config.betas[0]),
            beta2=values.get("betas.1", config.betas[1]),
            weight_decay=config.weight_decay,
            eps=config.eps,
            amsgrad=False,
            maximize=False,
        )


class FusedAdamW(FusedAdam):
    """The same with decoupled weight decay."""

    _fused = staticmethod(fused_adamw)
    _formula = staticmethod(adamw_by_formula)


def _with_strides_of(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return a gradient with the strides of its parameter: the kernel walks through both as flat arrays.

    They differ where a gradient was itself differentiated: that of a channels-last convolution comes channels first.
    """
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)

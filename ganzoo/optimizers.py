"""What optimizers are made of; plugins may import it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor

from ganzoo.system import torch_private


def adam_by_formula(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    means: Sequence[Tensor],
    squares: Sequence[Tensor],
    largest_squares: Sequence[Tensor],
    steps: Sequence[Tensor],
    *,
    lr: Tensor,
    beta1: float | Tensor,
    beta2: float | Tensor,
    weight_decay: float,
    eps: float,
    decoupled: bool = False,
    **unused: object,
) -> None:
    """Do what torch's fused kernels of Adam and AdamW (`decoupled`) do, in elementary operations.

    Torch's compiler fuses them into loops of its own; and unlike the kernels, they take betas that are tensors.
    """
    # Algorithm 1 with both bias corrections: m / (1 - beta1^t) over sqrt(v / (1 - beta2^t)) + eps. On a CPU the
    # learning rate and scheduled betas are float64 tensors.
    correction, root = 1 - beta1 ** steps[0], (1 - beta2 ** steps[0]).sqrt()
    for parameter, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
        if weight_decay and decoupled:
            parameter.mul_((1 - lr * weight_decay).float())
        elif weight_decay:
            gradient = gradient + weight_decay * parameter  # L2, not the decoupled decay of AdamW
        mean.lerp_(gradient, _weight(1 - beta1))  # beta1 m + (1 - beta1) g
        square.lerp_(gradient.square(), _weight(1 - beta2))
        parameter.sub_((lr / correction).float() * mean / (square.sqrt() / root.float() + eps))


def _weight(number: float | Tensor) -> float | Tensor:
    return number.float() if isinstance(number, Tensor) else number


adamw_by_formula = partial(adam_by_formula, decoupled=True)


def fused_adam(*arguments: Any, **keywords: Any) -> None:
    """Update all parameters in one operation: the kernel behind `torch.optim.Adam(fused=True)`, else the formula."""
    (torch_private.fused_adam() or adam_by_formula)(*arguments, **keywords)


def fused_adamw(*arguments: Any, **keywords: Any) -> None:
    """Do the same for AdamW."""
    (torch_private.fused_adamw() or adamw_by_formula)(*arguments, **keywords)

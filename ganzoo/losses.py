"""What regularizers are made of; plugins may import it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def squared_gradient(discriminator: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
    """Squared norm of the gradient of each sample's logit, [batch], itself differentiable."""
    # A leaf of its own: the gradient is taken at the samples, and nothing flows back into what made them.
    samples = samples.detach().requires_grad_()
    # The gradient of the sum holds each sample's own gradient as long as no logit depends on another sample: penalties
    # and batch normalization in the discriminator do not go together (Gulrajani et al., section 4).
    # create_graph: the penalty is a function of this gradient, and the update differentiates it once more.
    (gradient,) = torch.autograd.grad(discriminator(samples).sum(), samples, create_graph=True)
    return gradient.flatten(1).square().sum(1)

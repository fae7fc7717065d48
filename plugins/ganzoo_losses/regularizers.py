"""Regularizers of both nets; every one returns a scalar to be minimised."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganzoo.losses import squared_gradient
from ganzoo.specs import GeneratorRegularizerInputs, RegularizerInputs


def r1(inputs: RegularizerInputs) -> Tensor:
    """|grad D(x)|^2 / 2 at real samples."""
    return squared_gradient(inputs.discriminators.real, inputs.real).mean() / 2


def r2(inputs: RegularizerInputs) -> Tensor:
    """|grad D(G(z))|^2 / 2 at fakes."""
    return squared_gradient(inputs.discriminators.fake, inputs.fake).mean() / 2


def gradient_penalty(inputs: RegularizerInputs) -> Tensor:
    """(|grad D(x^)| - 1)^2 at x^ = x + epsilon (G(z) - x).

    Gulrajani et al. write 1 - epsilon for our epsilon; both are uniform.
    """
    epsilon = inputs.epsilon.view(-1, *[1] * (inputs.real.dim() - 1))
    interpolated = torch.lerp(inputs.real, inputs.fake, epsilon)  # real at 0, fake at 1
    # 1e-12: the gradient of the root is infinite at zero.
    # The labels are those of the real samples; fakes have the same ones unless the recipe shares fakes.
    norm = squared_gradient(inputs.discriminators.real, interpolated).add(1e-12).sqrt()
    return (norm - 1).square().mean()


PATH_LENGTH_DECAY = 0.99
"""Of the running mean of path lengths, as in the official code."""


def path_length_state() -> dict[str, Tensor]:
    """Return the running mean of the lengths, which begins at 0."""
    return {"mean": torch.zeros(())}


def path_length(inputs: GeneratorRegularizerInputs) -> Tensor:
    """(|J^T y| - a)^2 with J the Jacobian of the generator and y standard normal, divided by the root of its size."""
    latents = inputs.latents.detach().requires_grad_()
    fakes = inputs.generate(latents)
    # As in the official code, the size is height times width, without the channels.
    directions = inputs.directions / math.sqrt(math.prod(fakes.shape[2:] or fakes.shape[1:]))
    # J^T y is the gradient of y . G(z) by z: no Jacobian is ever formed.
    (gradient,) = torch.autograd.grad((fakes * directions).sum(), latents, create_graph=True)
    lengths = gradient.flatten(1).square().sum(1).add(1e-12).sqrt()  # 1e-12: as for the gradient penalty
    mean = torch.lerp(inputs.state["mean"], lengths.detach().mean(), 1 - PATH_LENGTH_DECAY)
    inputs.state["mean"].copy_(mean)
    return (lengths - mean).square().mean()

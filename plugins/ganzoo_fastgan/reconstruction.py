"""The self-supervised loss of the discriminator."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from ganzoo.specs import RegularizerInputs

LEVELS = 3
"""How often the difference of two images is halved at most."""


def reconstruction(inputs: RegularizerInputs) -> Tensor:
    """Distance of reconstructed real images to the real ones, the whole and a quarter of each."""
    pairs = inputs.discriminator.reconstruct(inputs.real, inputs.epsilon)  # type: ignore[operator]
    return torch.stack([laplacian_distance(found, expected) for found, expected in pairs]).sum()


def laplacian_distance(images: Tensor, others: Tensor) -> Tensor:
    """Mean absolute difference in each level of a Laplacian pyramid, summed over the levels.

    Bojanowski et al. (arXiv:1707.05776, section 2.2) weigh the sum of absolute differences of level j by 2^2j, which
    makes each level as important as its mean. A pixel of the next level is the mean of 2 × 2.
    """
    difference, distance = images - others, images.new_zeros(())  # the pyramid is linear
    for _ in range(LEVELS):
        if any(side % 2 for side in difference.shape[2:]):
            break
        coarser = avg_pool2d(difference, 2)
        distance = distance + (difference - interpolate(coarser, scale_factor=2)).abs().mean()
        difference = coarser
    return distance + difference.abs().mean()

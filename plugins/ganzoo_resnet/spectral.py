"""Layers whose weight is divided by its largest singular value (Miyato et al. 2018, arXiv:1802.05957, section 2.1).

The weight is taken as a matrix, [outputs, everything else]. One step of power iteration for each pass follows its
singular vector, as the paper has it; `u` is where it stands, and moves only while training.
PyTorch's own parametrization wraps the weight in modules of its own, keeps both vectors, and autocast would take its
products in bfloat16.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, normalize

from ganzoo_resnet.convolutions import conv2d_halved


class SpectralConv2d(nn.Conv2d):
    """A spectrally normalised convolution that keeps height and width."""

    u: Tensor
    """[after], the left singular vector."""

    def __init__(self, before: int, after: int, kernel_size: int) -> None:
        super().__init__(before, after, kernel_size, padding=kernel_size // 2)
        self.register_buffer("u", random_direction(after))

    def forward(self, images: Tensor) -> Tensor:
        """Convolve."""
        return conv2d(images, normalized_weight(self), self.bias, padding=self.padding)


class SpectralHalvingConv2d(SpectralConv2d):
    """A spectrally normalised 3 × 3 convolution, its output averaged over 2 × 2 pixels."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, kernel_size=3)

    def forward(self, images: Tensor) -> Tensor:
        """Convolve and halve."""
        return conv2d_halved(images, normalized_weight(self), self.bias)


class SpectralLinear(nn.Linear):
    """A spectrally normalised linear map."""

    u: Tensor
    """[after], the left singular vector."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after)
        self.register_buffer("u", random_direction(after))

    def forward(self, features: Tensor) -> Tensor:
        """Map."""
        return linear(features, normalized_weight(self), self.bias)


def normalized_weight(layer: SpectralConv2d | SpectralLinear) -> Tensor:
    """Return the weight over the estimate of its largest singular value, through which gradients flow too."""
    matrix = layer.weight.movedim(1, -1).flatten(1)  # no copy where the channels come last
    # Sums of products, for autocast would round a matrix product.
    with torch.no_grad():
        v = normalize((matrix * layer.u[:, None]).sum(0), dim=0)
        u = normalize((matrix * v).sum(1), dim=0)
        if layer.training:
            layer.u.copy_(u)
    sigma = (matrix * u[:, None] * v).sum()
    return layer.weight / sigma


def random_direction(dim: int) -> Tensor:
    """Return a random vector [dim] of length 1."""
    return normalize(torch.randn(dim), dim=0)

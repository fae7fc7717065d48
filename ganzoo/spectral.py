"""Spectral normalisation of a convolution; plugins may import it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


class SpectralConv2d(nn.Conv2d):
    """A convolution whose kernel is divided by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).

    The kernel is a matrix, [after, before * height * width]. Its value is estimated by one step of power iteration in
    each forward pass, from the left singular vector `u` [after], which is stored in training only; gradients flow
    through the division. Unlike `torch.nn.utils.parametrizations.spectral_norm` it computes in float32 under autocast.
    """

    def __init__(
        self,
        before: int,
        after: int,
        *,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__(before, after, kernel_size=kernel_size, stride=stride, padding=padding)
        self.u: Tensor = nn.Buffer(normalize(torch.randn(after), dim=0))

    def forward(self, images: Tensor) -> Tensor:
        """Return the convolution with the normalised kernel."""
        # Products and sums instead of matrix products, which autocast would compute in bfloat16.
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            # One step of power iteration.
            v = normalize((matrix * self.u[:, None]).sum(0), dim=0)
            u = normalize((matrix * v).sum(1), dim=0)
            if self.training:
                self.u.copy_(u)
        sigma = ((matrix * v).sum(1) * u).sum()
        return self._conv_forward(images, self.weight / sigma, self.bias)

"""Twice and half the resolution with the filter [1, 2, 1] in each direction, which is two boxes [1, 1].

As published, beyond the border lie zeros, and the outputs are half a pixel off the inputs.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad


class Upsampling(nn.Module):
    """[batch, channels, h, w] -> [batch, channels, 2h, 2w]."""

    def forward(self, images: Tensor) -> Tensor:
        """Repeat every pixel, then take the mean with the neighbours above and to the left."""
        return _box(interpolate(images, scale_factor=2.0))


class Downsampling(nn.Module):
    """[batch, channels, h, w] -> [batch, channels, h/2, w/2]."""

    def forward(self, images: Tensor) -> Tensor:
        """Take the mean with the neighbours above and to the left, then of 2 × 2 pixels."""
        return avg_pool2d(_box(images), kernel_size=2)


def _box(images: Tensor) -> Tensor:
    return avg_pool2d(pad(images, (1, 0, 1, 0)), kernel_size=2, stride=1)

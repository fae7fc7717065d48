"""Up- and downsampling by two with the filter [1, 2, 1] in each direction, computed as two boxes [1, 1].

As published, borders are padded with zeros, and outputs are shifted by half a pixel.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad


class Upsampling(nn.Module):
    """[batch, channels, h, w] -> [batch, channels, 2h, 2w]."""

    def forward(self, images: Tensor) -> Tensor:
        """Repeat every pixel, then average with the neighbours above and to the left."""
        # Repeating is a box [1, 1] of its own, and two boxes make [1, 2, 1].
        return _box(interpolate(images, scale_factor=2.0))


class Downsampling(nn.Module):
    """[batch, channels, h, w] -> [batch, channels, h/2, w/2]."""

    def forward(self, images: Tensor) -> Tensor:
        """Average with the neighbours above and to the left, then over 2 × 2 pixels."""
        return avg_pool2d(_box(images), kernel_size=2)


def _box(images: Tensor) -> Tensor:
    return avg_pool2d(pad(images, (1, 0, 1, 0)), kernel_size=2, stride=1)  # left and above only: the half pixel

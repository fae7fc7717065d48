"""3 × 3 convolutions beside a change of resolution, as one convolution with kernel 4 × 4.

Neighbouring pixels of an image that was doubled are equal, and neighbouring outputs that are averaged share most of
their inputs, so that the sum of four shifted kernels does both with 16 products for each coarse pixel instead of 36.
The results are those of the two steps, the border included. Forward and backward on one CPU core took this share of the
two steps' time, in float32 and in bfloat16: doubling 64 images of 256 channels 0.92 and 1.20 from 4 × 4 pixels, where
the kernel is most of the work, and 0.54 and 0.80 from 8 × 8; halving 32 images of 128 channels 0.46 and 0.53 from
32 × 32. Not measured on a GPU.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d


class DoublingConv2d(nn.Conv2d):
    """A 3 × 3 convolution of the image doubled by repeating pixels: [..., h, w] -> [..., 2h, 2w]."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, kernel_size=3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Double and convolve."""
        kernel = 4 * mean_of_shifts(self.weight.flip(2, 3)).transpose(0, 1)
        return conv_transpose2d(images, kernel, self.bias, stride=2, padding=1)


class HalvingConv2d(nn.Conv2d):
    """A 3 × 3 convolution, its output averaged over 2 × 2 pixels: [..., h, w] -> [..., h/2, w/2]."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, kernel_size=3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Convolve and halve."""
        return conv2d(images, mean_of_shifts(self.weight), self.bias, stride=2, padding=1)


def mean_of_shifts(kernel: Tensor) -> Tensor:
    """[..., 3, 3] -> [..., 4, 4]: the mean of the kernel at the four corners, with zeros around."""
    return avg_pool2d(kernel, kernel_size=2, stride=1, padding=1)

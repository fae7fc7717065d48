"""Random changes of images [batch, channels, height, width] by numbers [batch, 3], uniform in [0, 1).

They use no branches on values, so that a step with them can be recorded.
"""

from __future__ import annotations

import torch
from torch import Tensor

TRANSLATION = 1 / 8
"""Largest shift, as a fraction of height and width."""
CUTOUT = 1 / 2
"""Height and width of the rectangle that is cut out, as a fraction of the image's."""


def mirror(images: Tensor, numbers: Tensor) -> Tensor:
    """Flip half of the images horizontally."""
    return torch.where(numbers[:, 0].view(-1, 1, 1, 1) < 0.5, images.flip(3), images)


def color(images: Tensor, numbers: Tensor) -> Tensor:
    """Shift brightness by at most 1/2; multiply saturation by 0 to 2, and contrast by 1/2 to 3/2."""
    # Three factors for each image, [batch, 1, 1, 1].
    brightness, saturation, contrast = numbers.view(-1, 3, 1, 1, 1).unbind(1)
    images = images + (brightness - 0.5)
    # From the greyscale image (0) to the image itself (1) and on to exaggerated colors (2). With one channel nothing
    # changes: its mean is itself.
    images = torch.lerp(images.mean(1, keepdim=True), images, 2 * saturation)
    # The same with the mean of the whole image in place of grey.
    return torch.lerp(images.mean((1, 2, 3), keepdim=True), images, contrast + 0.5)


def translation(images: Tensor, numbers: Tensor) -> Tensor:
    """Shift by at most an eighth of height and width, in whole pixels; zeros come in at the edges."""
    # Each image has a shift of its own; products with one 0/1 matrix per image and axis do them all at once.
    down = _shift(numbers[:, 0], images.shape[2]).to(images.dtype)
    right = _shift(numbers[:, 1], images.shape[3]).to(images.dtype)
    return down.unsqueeze(1) @ images @ right.transpose(1, 2).unsqueeze(1)  # [b, 1, h, h] @ [b, c, h, w] @ [b, 1, w, w]


def _shift(numbers: Tensor, side: int) -> Tensor:
    """Return matrices [batch, side, side] that shift the entries of a vector."""
    largest = int(side * TRANSLATION + 0.5)
    # One of 2 * largest + 1 equally likely whole numbers from -largest to largest.
    shift = (numbers * (2 * largest + 1)).floor() - largest
    positions = torch.arange(side, device=numbers.device)
    # Row i has its 1 in column i - shift. Rows whose column would lie outside stay zero: the edge that comes in.
    return positions.view(-1, 1) == positions + shift.view(-1, 1, 1)


def cutout(images: Tensor, numbers: Tensor) -> Tensor:
    """Set a rectangle of half the height and width, centered anywhere, to zero."""
    inside = [_within(numbers[:, axis], images.shape[2 + axis]) for axis in (0, 1)]
    return images * ~(inside[0].view(-1, 1, images.shape[2], 1) & inside[1].view(-1, 1, 1, images.shape[3]))


def _within(numbers: Tensor, side: int) -> Tensor:
    """Return bool [batch, side]: which positions lie within half a cutout of a random one."""
    length = int(side * CUTOUT + 0.5)
    # As published, the center may be any position, so at the border the rectangle sticks out and cuts less.
    first = (numbers * (side + 1 - length % 2)).floor() - length // 2
    positions = torch.arange(side, device=numbers.device)
    return (positions >= first.view(-1, 1)) & (positions < first.view(-1, 1) + length)

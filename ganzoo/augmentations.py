"""Random changes of what the discriminator sees, real and generated alike, against overfitting on small datasets.

They are differentiable, so that the generator learns through them (Zhao et al. 2020, arXiv:2006.10738), and made of
products and selections without regard to values, so that a step with them can be recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

NUMBERS = 3
"""Random numbers that each augmentation is given for each image."""

TRANSLATION = 1 / 8
"""Largest shift, as a share of height and width."""
CUTOUT = 1 / 2
"""Height and width of the square that is cut out, as a share of the image's."""

Augmentation = Callable[[Tensor, Tensor], Tensor]
"""(images [batch, channels, height, width], numbers [batch, NUMBERS], uniform in [0, 1)) -> images."""


def mirror(images: Tensor, numbers: Tensor) -> Tensor:
    """Turn half of the images, left to right."""
    return torch.where(numbers[:, 0].view(-1, 1, 1, 1) < 0.5, images.flip(3), images)


def color(images: Tensor, numbers: Tensor) -> Tensor:
    """Move brightness by at most 1/2, multiply saturation by 0 to 2 and contrast by 1/2 to 3/2."""
    brightness, saturation, contrast = numbers.view(-1, NUMBERS, 1, 1, 1).unbind(1)
    images = images + (brightness - 0.5)
    images = torch.lerp(images.mean(1, keepdim=True), images, 2 * saturation)
    return torch.lerp(images.mean((1, 2, 3), keepdim=True), images, contrast + 0.5)


def translation(images: Tensor, numbers: Tensor) -> Tensor:
    """Move by at most an eighth of height and width, in whole pixels; what comes in is zero."""
    down = _shift(numbers[:, 0], images.shape[2]).to(images.dtype)
    right = _shift(numbers[:, 1], images.shape[3]).to(images.dtype)
    return down.unsqueeze(1) @ images @ right.transpose(1, 2).unsqueeze(1)


def _shift(numbers: Tensor, side: int) -> Tensor:
    """Return matrices [batch, side, side] that move the entries of a vector along it."""
    most = int(side * TRANSLATION + 0.5)
    moved = (numbers * (2 * most + 1)).floor() - most
    places = torch.arange(side, device=numbers.device)
    return places.view(-1, 1) == places + moved.view(-1, 1, 1)


def cutout(images: Tensor, numbers: Tensor) -> Tensor:
    """Set a rectangle of half the height and width, centred anywhere, to zero."""
    inside = [_within(numbers[:, axis], images.shape[2 + axis]) for axis in (0, 1)]
    return images * ~(inside[0].view(-1, 1, images.shape[2], 1) & inside[1].view(-1, 1, 1, images.shape[3]))


def _within(numbers: Tensor, side: int) -> Tensor:
    """Return [batch, side]: which places are close to a random one."""
    length = int(side * CUTOUT + 0.5)
    first = (numbers * (side + 1 - length % 2)).floor() - length // 2
    places = torch.arange(side, device=numbers.device)
    return (places >= first.view(-1, 1)) & (places < first.view(-1, 1) + length)


AUGMENTATIONS: dict[str, Augmentation] = {
    "mirror": mirror,
    "color": color,
    "translation": translation,
    "cutout": cutout,
}


def augment(images: Tensor, names: Sequence[str], numbers: Tensor) -> Tensor:
    """Apply augmentations in the order given.

    Args:
        images: [batch, channels, height, width].
        names: of augmentations.
        numbers: [batch, len(names), NUMBERS], uniform in [0, 1).
    """
    for index, name in enumerate(names):
        images = AUGMENTATIONS[name](images, numbers[:, index])
    return images

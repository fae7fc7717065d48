"""Stored values -> the values that nets see, and back."""

from __future__ import annotations

import torch
from torch import Tensor


def to_float(samples: Tensor) -> Tensor:
    """Scale uint8 0..255 to float32 [-1, 1]; leave floating-point samples as they are."""
    if samples.dtype != torch.uint8:
        return samples.float()
    return samples.float().mul_(2 / 255).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Round images in [-1, 1] to bytes 0..255, as a picture file holds them; half to even, outside cut off."""
    return images.detach().float().add(1).mul(127.5).round().clamp(0, 255).byte()

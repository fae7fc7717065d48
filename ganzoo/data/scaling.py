"""Stored values -> the values that nets see."""

from __future__ import annotations

import torch
from torch import Tensor


def to_float(samples: Tensor) -> Tensor:
    """Scale uint8 0..255 to float32 [-1, 1]; leave floating-point samples as they are."""
    if samples.dtype != torch.uint8:
        return samples.float()
    return samples.float().mul_(2 / 255).sub_(1)

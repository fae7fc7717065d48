"""The law of the ring."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from ganzoo.specs import SyntheticData

NUM_MODES = 8
RADIUS = 2.0
STANDARD_DEVIATION = 0.1


def load(root: Path, split: str, download: bool) -> SyntheticData:
    """Return the law: there is nothing to read or to download."""
    return SyntheticData(draw=draw, draw_labels=draw_labels)


def centres() -> Tensor:
    """Return the centre of each Gaussian, [8, 2]."""
    angles = torch.arange(NUM_MODES) * (2 * math.pi / NUM_MODES)
    return RADIUS * torch.stack([angles.cos(), angles.sin()], dim=1)


def draw_labels(num: int, generator: torch.Generator) -> Tensor:
    """Draw the Gaussian of each point, int64 [num]."""
    return torch.randint(NUM_MODES, (num,), generator=generator, device=generator.device)


def draw(num: int, generator: torch.Generator) -> Tensor:
    """Draw points, float32 [num, 2]."""
    labels = draw_labels(
        num, generator
    )  # first, so that the labels of a state of the generator are those of its points
    noise = torch.randn(num, 2, generator=generator, device=generator.device)
    return centres().to(generator.device)[labels] + STANDARD_DEVIATION * noise

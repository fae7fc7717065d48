"""Generators whose samples have another range than [-1, 1]."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Rescaled(nn.Module):
    """A generator with outputs in [low, high], mapped to [-1, 1]."""

    def __init__(self, generator: nn.Module, output_range: tuple[float, float]) -> None:
        super().__init__()
        self.generator = generator
        self.low, self.high = output_range

    def forward(self, *inputs: Tensor, **keywords: Any) -> Tensor:
        """Generate samples; the inputs are the generator's."""
        samples: Tensor = self.generator(*inputs, **keywords)
        return (samples - self.low) * (2 / (self.high - self.low)) - 1

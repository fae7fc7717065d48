"""The true distribution of the curves, and the projection of any curve onto their family."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def draw_curves(x: Sequence[float], num: int, generator: torch.Generator) -> Tensor:
    """Draw curves y = a·x² + (a − 1), a uniform in [1, 2]: float32 [num, len(x)] on the generator's device."""
    a = torch.rand(num, 1, generator=generator, device=generator.device).add_(1)  # [0, 1) -> [1, 2)
    return family(a, torch.tensor(x, device=generator.device))


def family(a: Tensor, x: Tensor) -> Tensor:
    """Parabolas of the family: a [num, 1], x [points] -> [num, points]."""
    return a * (x.square() + 1) - 1


def fit_a(curves: Tensor, x: Tensor) -> Tensor:
    """Least-squares a of each curve: [num, points] -> [num].

    y + 1 = a·(x² + 1) is linear in a, so a = <y + 1, x² + 1> / <x² + 1, x² + 1>.
    """
    basis = x.square() + 1  # [points]
    return (curves + 1) @ basis / basis.dot(basis)

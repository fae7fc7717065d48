"""Distances between generated and real digits."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import avg_pool2d

from ganzoo.distances import frechet_distance
from ganzoo.errors import EvaluationError
from ganzoo.specs import MetricInputs


def fd_pool7(inputs: MetricInputs) -> float:
    """Fréchet distance on 49 features: pixels in [-1, 1], averaged over 4 × 4 blocks."""
    if inputs.sample.shape != (1, 28, 28):
        raise EvaluationError(
            "fd-pool7 measures 28 × 28 grey images.", hint="Choose a metric of the model's own dataset."
        )
    return frechet_distance(_pool7(inputs.samples), _pool7(inputs.real()))


def _pool7(images: Tensor) -> Tensor:
    """[num, 1, 28, 28] -> float64 [num, 49]."""
    return avg_pool2d(images.double(), 4).flatten(1)

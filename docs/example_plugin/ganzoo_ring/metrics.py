"""How close generated points are to the ring; the law is known, so no real samples are needed."""

from __future__ import annotations

import torch
from torch import Tensor

from ganzoo.errors import EvaluationError
from ganzoo.specs import MetricInputs
from ganzoo_ring.data import NUM_MODES, STANDARD_DEVIATION, centres


def high_quality(inputs: MetricInputs) -> float:
    """Share of points within 3 standard deviations of a centre (Srivastava et al. 2017, arXiv:1705.07761, section 4).

    The centre is that of the class that was asked for, where the model is class-conditional.
    """
    distance, nearest = _nearest(inputs)
    good = distance < 3 * STANDARD_DEVIATION
    if inputs.labels is not None:
        good &= nearest == inputs.labels
    return float(good.float().mean())


def modes(inputs: MetricInputs) -> float:
    """Share of the Gaussians that get at least half of their fair share of the points."""
    distance, nearest = _nearest(inputs)
    near = nearest[distance < 3 * STANDARD_DEVIATION]
    counts = torch.bincount(near, minlength=NUM_MODES)
    return float((counts >= len(inputs.samples) / NUM_MODES / 2).float().mean())


def _nearest(inputs: MetricInputs) -> tuple[Tensor, Tensor]:
    """Return the distance of each point to the nearest centre, and that centre's index; once for both metrics."""
    if inputs.sample.shape != (2,):
        raise EvaluationError(
            f"these samples have the shape {list(inputs.sample.shape)}; points of the ring have [2].",
            hint="Evaluate a model of the dataset 'ring'.",
        )
    found: tuple[Tensor, Tensor] = inputs.cached(
        "nearest centre", lambda: torch.cdist(inputs.samples, centres()).min(dim=1)
    )
    return found

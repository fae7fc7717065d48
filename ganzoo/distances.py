"""Distances between sets of features."""

from __future__ import annotations

import torch
from torch import Tensor

from ganzoo.errors import EvaluationError


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Squared Fréchet distance between Gaussians fitted to two sets of features [num, dim].

    |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½), Dowson and Landau 1982; Heusel et al., arXiv:1706.08500, equation 6. The
    trace of (C1 C2)^½ is the sum of the singular values of C1^½ C2^½, which needs no root of an unsymmetric matrix.

    Raises EvaluationError for fewer than two samples or values that are not finite.
    """
    for features in (first, second):
        if len(features) < 2 or not features.isfinite().all():
            raise EvaluationError(
                "a Fréchet distance needs at least two samples, all finite.", hint="Take more samples."
            )
    (mean1, root1, trace1), (mean2, root2, trace2) = (_gaussian(features.double()) for features in (first, second))
    cross = torch.linalg.svdvals(root1 @ root2).sum()
    return max(0.0, float((mean1 - mean2).square().sum() + trace1 + trace2 - 2 * cross))


def _gaussian(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean [dim], square root of the covariance [dim, dim] and its trace."""
    covariance = torch.atleast_2d(torch.cov(features.T))
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    return features.mean(0), root, covariance.trace()

from __future__ import annotations

import pytest
import torch

from ganzoo.distances import frechet_distance
from ganzoo.errors import EvaluationError


def gaussian(num: int, mean: torch.Tensor, root: torch.Tensor, seed: int) -> torch.Tensor:
    """Samples whose mean and covariance are exactly those asked for."""
    noise = torch.randn(num, len(mean), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    noise = noise - noise.mean(0)
    whitened = noise @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(noise.T)).T)
    return whitened @ root.T + mean


def test_identical_sets_are_at_distance_zero() -> None:
    features = torch.randn(100, 7)
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)


def test_two_gaussians_with_commuting_covariances() -> None:
    mean1, mean2 = torch.zeros(3, dtype=torch.float64), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    scale1, scale2 = torch.tensor([1.0, 2.0, 3.0]).double(), torch.tensor([2.0, 2.0, 0.5]).double()
    first = gaussian(500, mean1, scale1.diag(), 0)
    second = gaussian(300, mean2, scale2.diag(), 1)
    expected = float((mean1 - mean2).square().sum() + (scale1 - scale2).square().sum())
    assert frechet_distance(first, second) == pytest.approx(expected, abs=1e-9)


def test_two_gaussians_with_covariances_that_do_not_commute() -> None:
    root1 = torch.tensor([[2.0, 0.0], [1.0, 1.0]]).double()
    root2 = torch.tensor([[1.0, 0.0], [-2.0, 3.0]]).double()
    zero = torch.zeros(2).double()
    c1, c2 = root1 @ root1.T, root2 @ root2.T
    cross = torch.linalg.eigvals(c1 @ c2).real.sqrt().sum()
    expected = float(c1.trace() + c2.trace() - 2 * cross)
    found = frechet_distance(gaussian(400, zero, root1, 0), gaussian(400, zero, root2, 1))
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_single_feature_will_do() -> None:
    first, second = torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [5.0]])
    assert frechet_distance(first, second) == pytest.approx(9)


@pytest.mark.parametrize("features", [torch.zeros(1, 3), torch.full((4, 3), float("nan"))])
def test_too_few_or_broken_features_are_refused(features: torch.Tensor) -> None:
    with pytest.raises(EvaluationError):
        frechet_distance(torch.zeros(5, 3), features)

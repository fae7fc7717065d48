from __future__ import annotations

import pytest
import torch

from ganzoo.distances import (
    authenticity,
    frechet_distance,
    frechet_distance_of_gaussians,
    inception_score,
    kernel_distance,
    kernel_distance_of_all,
    left_out_ratios,
    nearest_rows,
    neighbourhoods,
)
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


def test_two_singular_gaussians_that_do_not_lie_along_the_axes() -> None:
    scale1 = torch.linspace(0, 2, 256).double().sub(1).clamp(min=0)  # half of them do not vary
    scale2 = torch.linspace(0.5, 0, 256).double()
    mean1, mean2 = torch.zeros(256).double(), torch.full((256,), 0.1).double()
    rotation = torch.eye(256).double() - 2 / 256  # a reflection: the covariances are not diagonal
    c1, c2 = (rotation @ scale.square().diag() @ rotation for scale in (scale1, scale2))
    expected = float((mean1 - mean2).square().sum() + (scale1 - scale2).square().sum())
    assert frechet_distance_of_gaussians(mean1, c1, mean2, c2) == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("num1", "num2"), [(300, 400), (40, 400), (400, 40), (40, 30)])
def test_torch_fidelity_gives_the_same_distances(num1: int, num2: int) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import calculate_precision_recall_full

    source = torch.Generator().manual_seed(0)
    first, second = torch.rand(num1, 64, generator=source) ** 2, torch.rand(num2, 64, generator=source)
    statistics = [fid_features_to_statistics(features.double()) for features in (first, second)]
    fid = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(first, second) == pytest.approx(fid, rel=1e-4)
    kid = kid_features_to_metric(first, second, kid_subset_size=20, verbose=False)["kernel_inception_distance_mean"]
    assert kernel_distance(first, second, subset_size=20) == pytest.approx(kid, rel=1e-4)
    near = neighbourhoods(first, second, k=3)
    assert (near.precision, near.recall) == pytest.approx(calculate_precision_recall_full(first, second), abs=1e-6)


@pytest.mark.parametrize(("mean", "std"), [(0, 1), (30, 0.1), (100, 0.01)])
def test_neighbours_do_not_depend_on_how_far_features_lie_from_the_origin(mean: float, std: float) -> None:
    source = torch.Generator().manual_seed(0)
    fake, real = (mean + std * torch.randn(300, 64, generator=source) for _ in range(2))
    assert neighbourhoods(fake, real) == neighbourhoods(fake.double(), real.double())


def test_torch_fidelity_gives_the_same_inception_score() -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = 3 * torch.randn(203, 17, generator=torch.Generator().manual_seed(0))
    assert inception_score(logits) == pytest.approx(isc_features_to_metric(logits)["inception_score_mean"], rel=1e-9)
    with pytest.raises(EvaluationError, match="10 samples or more"):
        inception_score(logits[:9])


# --- kernel distance without subsets ---


def test_without_subsets_it_is_the_distance_of_a_single_whole_subset() -> None:
    first, second = torch.randn(60, 7), torch.randn(60, 7) + 0.3
    whole = kernel_distance(first, second, subsets=1, subset_size=60)
    assert kernel_distance_of_all(first, second) == pytest.approx(whole, rel=1e-5)


def test_without_subsets_it_is_unbiased_for_sets_of_different_sizes() -> None:
    source = torch.Generator().manual_seed(0)
    values = [
        kernel_distance_of_all(torch.randn(8, 3, generator=source), torch.randn(15, 3, generator=source))
        for _ in range(400)
    ]
    spread = torch.tensor(values)
    assert abs(float(spread.mean())) < 3 * float(spread.std()) / 20
    assert spread.min() < 0 < spread.max()
    with pytest.raises(EvaluationError, match="at least two samples"):
        kernel_distance_of_all(torch.zeros(1, 3), torch.zeros(9, 3))


# --- nearest rows and authenticity ---


def test_nearest_rows_are_those_of_a_full_search() -> None:
    queries, rows = torch.randn(20, 3), torch.randn(2_300, 3)  # three blocks
    distances, found = nearest_rows(queries, rows, 4)
    expected = torch.cdist(queries.double(), rows.double()).sort(1)
    assert torch.equal(found, expected.indices[:, :4])
    assert torch.allclose(distances, expected.values[:, :4])
    others, _ = nearest_rows(rows[:20], rows, 1, others=True)
    apart = torch.cdist(rows[:20].double(), rows.double())
    assert torch.allclose(others[:, 0], apart.masked_fill(apart < 1e-6, torch.inf).amin(1))


def test_authenticity_is_zero_for_copies_and_one_for_what_is_far_away() -> None:
    real = torch.randn(300, 5)
    assert authenticity(real[:50], real) == 0
    assert authenticity(real[:50] + 1e-3, real) == 0
    assert authenticity(real[:50] + 40, real) == 1
    # A collection in which every image is there twice hides no copies.
    assert authenticity(real[:50] + 1e-3, real.repeat(2, 1)) == 0
    assert authenticity(real[:5], torch.zeros(4, 5)) == 0  # all real samples are the same: nothing to compare with
    with pytest.raises(EvaluationError, match="at least two real samples"):
        authenticity(real, real[:1])


def test_authenticity_of_new_samples_is_that_of_real_ones_that_are_left_out() -> None:
    real, new = torch.randn(2_000, 4), torch.randn(2_000, 4)
    ratios = left_out_ratios(real, torch.arange(2_000))
    assert authenticity(new, real) == pytest.approx(float((ratios > 1).double().mean()), abs=0.06)


def test_leaving_one_out_is_measuring_it_against_the_rest() -> None:
    real = torch.randn(30, 3)
    ratios = left_out_ratios(real, torch.arange(30))
    for row in range(30):
        rest = torch.cat([real[:row], real[row + 1 :]]).double()
        distance, nearest = torch.cdist(real[row, None].double(), rest).min(1)
        apart = torch.cdist(rest[nearest], rest)
        apart[0, nearest] = torch.inf
        assert float(ratios[row]) == pytest.approx(float(distance / apart.min()))

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ganzoo.errors import EvaluationError
from ganzoo.specs import MetricInputs, SampleSpec, SyntheticData
from ganzoo_quadratic import CURVE_IN_BAND, CURVE_RMSE, CURVE_W1, POINT_IN_BAND, QUADRATIC

X = torch.linspace(-1, 1, 15, dtype=torch.float64)


def curves(a: torch.Tensor) -> torch.Tensor:
    return a.double().unsqueeze(1) * X.square() + (a.double().unsqueeze(1) - 1)


def inputs(samples: torch.Tensor, sample: SampleSpec = QUADRATIC.sample) -> MetricInputs:
    def none() -> torch.Tensor:
        raise AssertionError("these metrics need no real samples")

    return MetricInputs(samples=samples.float(), sample=sample, real=none)


def drawn(num: int) -> torch.Tensor:
    data = QUADRATIC.load(Path(), "train", False)
    assert isinstance(data, SyntheticData)
    return data.draw(num, torch.Generator().manual_seed(0))


def test_curves_are_drawn_from_their_law() -> None:
    samples = drawn(20_000)
    assert samples.shape == (20_000, 15)
    a = samples[:, 7].double() + 1  # at x = 0 a curve is a - 1
    assert torch.allclose(samples.double(), curves(a), atol=1e-6)
    assert a.min() >= 1
    assert a.max() <= 2
    assert a.mean().item() == pytest.approx(1.5, abs=0.01)
    assert a.var().item() == pytest.approx(1 / 12, abs=0.002)


def test_the_axes_are_those_of_the_curves() -> None:
    axes = QUADRATIC.sample.axes
    assert axes is not None
    assert torch.allclose(torch.tensor(axes.x).double(), X)
    assert torch.allclose(torch.tensor(axes.lower).double(), curves(torch.tensor([1.0]))[0])
    assert torch.allclose(torch.tensor(axes.upper).double(), curves(torch.tensor([2.0]))[0])


def test_real_curves_score_perfectly() -> None:
    given = inputs(drawn(50_000))
    assert CURVE_W1.compute(given) < 0.005
    assert CURVE_RMSE.compute(given) < 1e-6
    assert POINT_IN_BAND.compute(given) > 0.9999
    assert CURVE_IN_BAND.compute(given) > 0.9999


@pytest.mark.parametrize(
    ("a", "distance"),
    [
        ([1.5] * 4, 0.25),  # all mass in the middle: the mean of |u - 1/2|
        ([1.0] * 4, 0.5),
        ([3.0] * 2, 1.5),
        ([0.0] * 3, 1.5),
        ([1.25, 1.75], 0.125),  # two quarters, each with the mean of |v| over [-1/4, 1/4]
    ],
)
def test_the_wasserstein_distance_of_known_laws(a: list[float], distance: float) -> None:
    assert CURVE_W1.compute(inputs(curves(torch.tensor(a)))) == pytest.approx(distance, abs=1e-6)


def test_the_wasserstein_distance_agrees_with_numerical_integration() -> None:
    a = torch.rand(37, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 + 0.3
    u = (torch.arange(1_000_000, dtype=torch.float64) + 0.5) / 1_000_000
    quantiles = a.sort().values[(u * len(a)).long()]
    expected = (quantiles - 1 - u).abs().mean().item()
    assert CURVE_W1.compute(inputs(curves(a))) == pytest.approx(expected, abs=1e-5)


def test_the_rmse_is_the_distance_from_the_family() -> None:
    bump = torch.zeros(1, 15, dtype=torch.float64)
    bump[0, 0], bump[0, 14] = 0.3, -0.3  # antisymmetric, so orthogonal to the family: nothing can be fitted away
    expected = (bump.square().mean() ** 0.5).item()
    assert CURVE_RMSE.compute(inputs(curves(torch.tensor([1.4])) + bump)) == pytest.approx(expected, abs=1e-6)


def test_the_band_counts_points_and_whole_curves() -> None:
    samples = curves(torch.tensor([1.5, 1.5]))
    samples[0, 3] = 10
    assert POINT_IN_BAND.compute(inputs(samples)) == pytest.approx(29 / 30)
    assert CURVE_IN_BAND.compute(inputs(samples)) == pytest.approx(1 / 2)


def test_curve_metrics_refuse_images() -> None:
    with pytest.raises(EvaluationError, match="measures curves"):
        CURVE_W1.compute(inputs(torch.zeros(2, 1, 4, 4), SampleSpec(kind="image", shape=(1, 4, 4))))

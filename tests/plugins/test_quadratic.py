from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from ganzoo.errors import EvaluationError
from ganzoo.specs import MetricInputs, MetricSpec, SampleSpec, SyntheticData
from ganzoo_quadratic import (
    CURVE_ENERGY,
    CURVE_IN_BAND,
    CURVE_MODES,
    CURVE_P,
    CURVE_RMSE,
    CURVE_W1,
    POINT_IN_BAND,
    QUADRATIC,
)
from ganzoo_quadratic.energy import energy_test
from tests.test_evaluation import metric_inputs

X = torch.linspace(-1, 1, 15, dtype=torch.float64)


def curves(a: torch.Tensor) -> torch.Tensor:
    return a.double().unsqueeze(1) * X.square() + (a.double().unsqueeze(1) - 1)


def inputs(samples: torch.Tensor, sample: SampleSpec = QUADRATIC.sample) -> MetricInputs:
    return metric_inputs(samples=samples.float(), sample=sample)  # no real samples: the law is known


def drawn(num: int, seed: int = 0) -> torch.Tensor:
    data = QUADRATIC.load(Path(), "train", False)
    assert isinstance(data, SyntheticData)
    return data.draw(num, torch.Generator().manual_seed(seed))


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


def directly(first: list[list[float]], second: list[list[float]]) -> float:
    """The energy distance, pair by pair."""

    def mean(left: list[list[float]], right: list[list[float]]) -> float:
        return sum(math.dist(x, y) for x in left for y in right) / (len(left) * len(right))

    return 2 * mean(first, second) - mean(first, first) - mean(second, second)


def test_the_energy_distance_agrees_with_a_loop_over_pairs() -> None:
    source = torch.Generator().manual_seed(3)
    first = torch.rand(7, 3, generator=source, dtype=torch.float64)
    second = torch.rand(5, 3, generator=source, dtype=torch.float64) + 0.2
    distance, _ = energy_test(first, second, 1, source)
    assert distance == pytest.approx(directly(first.tolist(), second.tolist()), abs=1e-12)
    points = torch.tensor([[0.0], [0.0]]), torch.tensor([[3.0], [3.0]])
    assert energy_test(*points, 1, source)[0] == pytest.approx(6)  # two points 3 apart: twice the distance


def test_the_p_value_agrees_with_a_loop_over_relabellings() -> None:
    source = torch.Generator().manual_seed(4)
    first = torch.rand(6, 2, generator=source, dtype=torch.float64)
    second = torch.rand(6, 2, generator=source, dtype=torch.float64) + 0.15
    pooled = torch.cat([first, second]).tolist()
    again = torch.Generator().manual_seed(5)
    orders = [list(range(12)), *(torch.randperm(12, generator=again).tolist() for _ in range(99))]
    distances = [directly([pooled[i] for i in order[:6]], [pooled[i] for i in order[6:]]) for order in orders]
    expected = sum(distance >= distances[0] - 1e-12 for distance in distances) / 100
    assert 0.01 < expected < 1
    _, p = energy_test(first, second, 99, torch.Generator().manual_seed(5))
    assert p == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_two_sample_test_accepts_the_true_law(seed: int) -> None:
    given = inputs(drawn(2_000, seed))
    assert CURVE_P.compute(given) > 0.01
    assert 0 < CURVE_ENERGY.compute(given) < 0.01
    assert CURVE_MODES.compute(given) == 1


def wrong_laws() -> dict[str, torch.Tensor]:
    source = torch.Generator().manual_seed(6)
    return {
        "half of the range": curves(1 + torch.rand(2_000, generator=source) / 2),
        "noise added": drawn(2_000) + 0.3 * torch.randn(2_000, 15, generator=source),
        "one curve": curves(torch.full((2_000,), 1.5)),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", wrong_laws())
def test_the_two_sample_test_rejects_a_wrong_law(name: str) -> None:
    given = inputs(wrong_laws()[name])
    assert CURVE_P.compute(given) < 0.01
    assert CURVE_ENERGY.compute(given) > 0.01


def test_modes_are_bins_that_hold_a_tenth_of_their_share() -> None:
    middles = [1.05 + 0.1 * index for index in range(10)]
    assert CURVE_MODES.compute(inputs(curves(torch.tensor(middles)))) == 1
    assert CURVE_MODES.compute(inputs(curves(torch.tensor([*middles[:3], 0.5, 2.5])))) == pytest.approx(0.3)
    few = [1.05] * 981 + [1.15] * 10 + [1.25] * 9  # a fair share of 1,000 curves is 100, a tenth of it 10
    assert CURVE_MODES.compute(inputs(curves(torch.tensor(few)))) == pytest.approx(0.2)


def test_too_few_curves_for_the_test_are_no_number() -> None:
    with pytest.raises(EvaluationError, match="takes 2000 curves, not 1999"):
        CURVE_P.compute(inputs(drawn(1_999)))


@pytest.mark.parametrize("metric", [CURVE_W1, CURVE_MODES, CURVE_ENERGY, CURVE_P], ids=lambda metric: metric.name)
def test_curve_metrics_refuse_images(metric: MetricSpec) -> None:
    with pytest.raises(EvaluationError, match="measures curves"):
        metric.compute(inputs(torch.zeros(2, 1, 4, 4), SampleSpec(kind="image", shape=(1, 4, 4))))

"""Exact metrics: the distribution of the curves is known, so no real samples are needed."""

from __future__ import annotations

import torch
from torch import Tensor

from ganzoo.errors import EvaluationError
from ganzoo.specs import CurveAxes, MetricInputs
from ganzoo_quadratic.energy import energy_test
from ganzoo_quadratic.law import draw_curves, family, fit_a

NUM_TESTED = 2_000
"""Curves on each side of the two-sample test: the first generated ones, and real ones."""
NUM_PERMUTATIONS = 200
REAL_SEED = 2013
"""Seed of the real curves and of the permutations."""
NUM_BINS = 10


def wasserstein_of_a(inputs: MetricInputs) -> float:
    """Wasserstein-1 distance between the empirical distribution of the fitted a and U(1, 2), exact.

    In one dimension it is the integral over u in (0, 1) of |Q(u) - (1 + u)|, Q the quantile function. On each
    ((i-1)/n, i/n) Q is the i-th smallest a, so each piece is the integral of |c - u| with c = a - 1.
    """
    curves, axes = _curves(inputs)
    ordered = fit_a(curves, _x(axes)).sort().values - 1  # c in the formula, ascending
    num = len(ordered)
    left = torch.arange(num, dtype=torch.float64) / num
    right = (torch.arange(num, dtype=torch.float64) + 1) / num
    inside = ordered.clamp(left, right)  # where the kink lies, per interval
    # Integral of |c - u| up to the kink at u = c and after it; a kink outside the interval is its nearer end.
    pieces = ((inside - left) * (ordered - (left + inside) / 2).abs()) + (
        (right - inside) * (ordered - (right + inside) / 2).abs()
    )
    return float(pieces.sum())


def distance_from_family(inputs: MetricInputs) -> float:
    """Root mean square distance of all points from the best-fitting parabola of each curve."""
    curves, axes = _curves(inputs)
    fitted = family(fit_a(curves, _x(axes)).unsqueeze(1), _x(axes))
    return float((curves - fitted).square().mean().sqrt())


def points_in_band(inputs: MetricInputs) -> float:
    """Share of points between the lowest and the highest real curve."""
    return float(_inside(*_curves(inputs)).double().mean())


def curves_in_band(inputs: MetricInputs) -> float:
    """Share of curves with every point between the lowest and the highest real curve."""
    return float(_inside(*_curves(inputs)).all(dim=1).double().mean())


def bins_of_a(inputs: MetricInputs) -> float:
    """Share of ten equal bins of [1, 2] that hold at least a tenth of the fitted a expected there."""
    curves, axes = _curves(inputs)
    # histc leaves out what lies outside [1, 2]: such curves fill no bin.
    counts = fit_a(curves, _x(axes)).histc(bins=NUM_BINS, min=1, max=2)
    return float((counts >= 0.1 * len(curves) / NUM_BINS).double().mean())


def energy_distance(inputs: MetricInputs) -> float:
    """Energy distance between generated and real curves."""
    return _tested(inputs)[0]


def p_value(inputs: MetricInputs) -> float:
    """p-value of the permutation test on the energy distance."""
    return _tested(inputs)[1]


def _tested(inputs: MetricInputs) -> tuple[float, float]:
    curves, axes = _curves(inputs)
    if len(curves) < NUM_TESTED:
        raise EvaluationError(
            f"the two-sample test takes {NUM_TESTED} curves, not {len(curves)}.",
            hint=f"Choose a protocol with {NUM_TESTED} samples or more.",
        )

    def compute() -> tuple[float, float]:
        # One generator for both, in this order: the real curves and permutations are the same for every model.
        generator = torch.Generator().manual_seed(REAL_SEED)
        real = draw_curves(axes.x, NUM_TESTED, generator).double()
        return energy_test(curves[:NUM_TESTED], real, NUM_PERMUTATIONS, generator)

    found: tuple[float, float] = inputs.cached("energy test of curves", compute)
    return found


def _inside(curves: Tensor, axes: CurveAxes) -> Tensor:
    lower, upper = (torch.tensor(bound, dtype=torch.float64) for bound in (axes.lower, axes.upper))
    return (curves >= lower) & (curves <= upper)


def _curves(inputs: MetricInputs) -> tuple[Tensor, CurveAxes]:
    """Return the curves as float64 [num, points], and their axes."""
    if inputs.sample.kind != "curve" or inputs.sample.axes is None or not len(inputs.samples):
        raise EvaluationError("this metric measures curves.", hint="Choose a metric of the model's own dataset.")
    return inputs.samples.double(), inputs.sample.axes


def _x(axes: CurveAxes) -> Tensor:
    return torch.tensor(axes.x, dtype=torch.float64)

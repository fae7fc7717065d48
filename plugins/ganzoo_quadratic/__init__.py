"""Quadratic curves: a small dataset whose distribution is known exactly, with a recipe and exact metrics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.deferred import deferred
from ganzoo.specs import (
    Adam,
    CurveAxes,
    DatasetSpec,
    EvaluationProtocol,
    LatentSpec,
    MetricSpec,
    Optimizers,
    Recipe,
    SampleSpec,
    Schedule,
    SyntheticData,
)

if TYPE_CHECKING:
    import torch

POINTS = 15
"""Points of a curve, evenly spaced on [-1, 1]."""

# As plain numbers, because this module must not import torch.
_X = tuple(-1 + 2 * index / (POINTS - 1) for index in range(POINTS))


def _draw(num: int, generator: torch.Generator) -> torch.Tensor:
    from ganzoo_quadratic.law import draw_curves

    return draw_curves(_X, num, generator)


def _load(root: Path, split: str, download: bool) -> SyntheticData:
    return SyntheticData(draw=_draw)


CURVE_W1 = MetricSpec(
    name="curve-w1",
    summary="Wasserstein-1 distance between the fitted a of the curves and its true law U(1, 2)",
    better="lower",
    compute=deferred("ganzoo_quadratic.metrics:wasserstein_of_a"),
)
CURVE_RMSE = MetricSpec(
    name="curve-rmse",
    summary="root mean square distance of the points from the best-fitting parabola of the family",
    better="lower",
    compute=deferred("ganzoo_quadratic.metrics:distance_from_family"),
)
POINT_IN_BAND = MetricSpec(
    name="point-in-band",
    summary="share of points between y = x² and y = 2x² + 1, 0 to 1",
    better="higher",
    compute=deferred("ganzoo_quadratic.metrics:points_in_band"),
)
CURVE_IN_BAND = MetricSpec(
    name="curve-in-band",
    summary="share of curves whose points all lie between y = x² and y = 2x² + 1, 0 to 1",
    better="higher",
    compute=deferred("ganzoo_quadratic.metrics:curves_in_band"),
)
CURVE_ENERGY = MetricSpec(
    name="curve-energy",
    summary="energy distance between 2,000 curves and as many from the true law; about 0.002 for the law itself",
    better="lower",
    compute=deferred("ganzoo_quadratic.metrics:energy_distance"),
)
CURVE_P = MetricSpec(
    name="curve-p",
    summary="p-value of the permutation test on curve-energy, 1/201 to 1; its power grows with the count, here 2,000",
    better="higher",
    compute=deferred("ganzoo_quadratic.metrics:p_value"),
)
CURVE_MODES = MetricSpec(
    name="curve-modes",
    summary="share of ten equal bins of a in [1, 2] that hold at least a tenth of their fair share, 0 to 1",
    better="higher",
    compute=deferred("ganzoo_quadratic.metrics:bins_of_a"),
)

QUADRATIC = DatasetSpec(
    name="quadratic",
    summary=f"curves y = a·x² + (a − 1), a uniform in [1, 2], at {POINTS} points x in [−1, 1]; unlimited",
    homepage="drawn on the fly; the demonstration data of many GAN tutorials",
    license="none needed: computed, not collected",
    sample=SampleSpec(
        kind="curve",
        shape=(POINTS,),
        # The band's edges are the curves of a = 1 and a = 2.
        axes=CurveAxes(x=_X, lower=tuple(x * x for x in _X), upper=tuple(2 * x * x + 1 for x in _X)),
    ),
    splits={"train": None},
    load=_load,
    protocols=(
        EvaluationProtocol(
            name="quadratic-exact-v2",
            metrics=(
                "curve-w1",
                "curve-rmse",
                "point-in-band",
                "curve-in-band",
                "curve-energy",
                "curve-p",
                "curve-modes",
            ),
            num_samples=10_000,
            seeds=(0, 1, 2, 3, 4),
        ),
        EvaluationProtocol(
            name="quadratic-quick-v1",
            metrics=("curve-w1", "curve-modes"),
            num_samples=2_000,
            seeds=(0,),
            use="training",
        ),
    ),
)

QUADRATIC_MLP = Recipe(
    name="quadratic-mlp",
    summary="parabolas from a two-layer perceptron and the original minimax game",
    architecture="mlp",
    config={"generator_hidden": (128,), "discriminator_hidden": (128,), "activation": "relu", "output": "linear"},
    dataset="quadratic",
    latent=LatentSpec(dim=5),
    loss="minimax",
    optimizers=Optimizers(generator=Adam(learning_rate=1e-4), discriminator=Adam(learning_rate=1e-4)),
    batch_size=64,
    steps=10_000,
    source="Goodfellow et al. 2014, arXiv:1406.2661, equation 1, on the quadratic curves of GAN tutorials",
    notes=(
        "The saturating loss, as published: the generator minimises log(1 - D(G(z))). The discriminator returns "
        "logits, from which the same loss is computed without overflow. Batches of 64 where 32 were published (--set "
        "batch_size=32), of curves drawn for every step, where the published code drew them once. Each update draws "
        "fresh fakes, and the generator's goes through the discriminator just updated; the published code used one "
        "batch of fakes for both (--set share_fakes=true), and the discriminator from before its update. The published "
        "plot showed x² - 1 as the lower bound of the curves; it is x² (a = 1 in a·x² + a - 1)."
    ),
)

_RELATIVISTIC_ADAM = Adam(learning_rate=Schedule(kind="linear", start=1e-3, end=0.0), betas=(0.0, 0.99))

QUADRATIC_RELATIVISTIC = Recipe(
    name="quadratic-relativistic",
    summary="the nets of quadratic-mlp under a regularised relativistic loss: curves of nearly the true law",
    architecture="mlp",
    config=QUADRATIC_MLP.config,
    dataset="quadratic",
    latent=QUADRATIC_MLP.latent,
    loss="relativistic",
    regularizers={"r1": 0.1, "r2": 0.1},
    optimizers=Optimizers(generator=_RELATIVISTIC_ADAM, discriminator=_RELATIVISTIC_ADAM),
    batch_size=64,
    steps=20_000,
    ema_decay=0.999,
    source="the loss and penalties of Huang et al. 2025, arXiv:2501.05441, on the nets of quadratic-mlp",
    notes=(
        "A sibling of quadratic-mlp, whose published loss, learning rate and length are weak: the saturating loss at "
        "1e-4 leaves one curve in eight outside the band. The penalties let both nets converge where the plain "
        "loss oscillates; a learning rate that falls to zero and the moving average take out the remaining noise. "
        "Training seeds 0, 1 and 2 gave a curve-w1 of 0.011, 0.012 and 0.008, with 99.9, 99.8 and 99.7 % of the points "
        "in the band; with 40,000 steps, seed 0 kept 97.4 % in it."
    ),
)

"""A ring of eight Gaussians in the plane, and everything that it takes to train and to measure a GAN of it.

This module is imported by `ganzoo list` and `ganzoo show`, so it holds specs only and does not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from ganzoo.deferred import deferred
from ganzoo.specs import (
    Adam,
    ArchitectureSpec,
    DatasetSpec,
    EvaluationProtocol,
    LatentSpec,
    LossSpec,
    MetricSpec,
    Optimizers,
    Recipe,
    SampleSpec,
    Schedule,
)


@dataclass(frozen=True, kw_only=True)
class FourierMLPConfig:
    """Widths of both networks."""

    width: Annotated[int, Interval(ge=1, le=4096)] = 64
    """Units of each hidden layer."""
    frequencies: Annotated[int, Interval(ge=1, le=16)] = 3
    """Octaves of sines and cosines that the discriminator sees each coordinate through."""


FOURIER_MLP = ArchitectureSpec(
    name="fourier-mlp",
    summary="residual generator; discriminator on Fourier features of the sample, for samples of a few numbers",
    paper="Fourier features: Tancik et al. 2020, arXiv:2006.10739, section 6.1 (positional encoding)",
    license="MIT",
    config=FourierMLPConfig,
    build_generator=deferred("ganzoo_ring.networks:Generator"),
    build_discriminator=deferred("ganzoo_ring.networks:Discriminator"),
    conditions=("classes",),
    batch_independent=True,
)

RELATIVISTIC_AVERAGE = LossSpec(
    name="relativistic-average",
    summary="D: (r - mean f - 1)^2 + (f - mean r + 1)^2; G: (f - mean r - 1)^2 + (r - mean f + 1)^2",
    paper="Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4.2 (RaLSGAN)",
    discriminator=deferred("ganzoo_ring.losses:relativistic_average_discriminator"),
    generator=deferred("ganzoo_ring.losses:relativistic_average_generator"),
    paired=True,
)

HIGH_QUALITY = MetricSpec(
    name="ring-high-quality",
    summary="share of points within 3 standard deviations of their class's centre, 0 to 1; 0.989 for the law itself "
    "(of any centre, if the model is not class-conditional)",
    better="higher",
    compute=deferred("ganzoo_ring.metrics:high_quality"),
)
MODES = MetricSpec(
    name="ring-modes",
    summary="share of the eight Gaussians that get at least half of their fair share of the points, 0 to 1",
    better="higher",
    compute=deferred("ganzoo_ring.metrics:modes"),
)

RING = DatasetSpec(
    name="ring",
    summary="points of eight Gaussians on a circle of radius 2, standard deviation 0.1; unlimited",
    homepage="drawn on the fly; the ring of Metz et al. 2017, arXiv:1611.02163, section 3.1",
    license="none needed: computed, not collected",
    # Points in the plane are neither images nor curves.
    sample=SampleSpec(kind="tensor", shape=(2,), classes=("E", "NE", "N", "NW", "W", "SW", "S", "SE")),
    splits={"train": None},
    load=deferred("ganzoo_ring.data:load"),
    protocols=(
        EvaluationProtocol(
            name="ring-v1", metrics=("ring-high-quality", "ring-modes"), num_samples=5_000, seeds=(0, 1, 2)
        ),
    ),
)

_ADAM = Adam(learning_rate=Schedule(kind="cosine", start=1e-3, end=0.0), betas=(0.0, 0.99))

RING_GAN = Recipe(
    name="ring-gan",
    summary="points of the Gaussian that is asked for, by relativistic least squares",
    architecture="fourier-mlp",
    config={"width": 64, "frequencies": 3},
    dataset="ring",
    latent=LatentSpec(dim=4),
    loss="relativistic-average",
    regularizers={"r1": 0.01},
    optimizers=Optimizers(generator=_ADAM, discriminator=_ADAM),
    conditional=True,
    batch_size=256,
    steps=1_500,
    ema_decay=0.995,
    source="the ring of Metz et al. 2017, arXiv:1611.02163, section 3.1, with other networks and another loss",
)
